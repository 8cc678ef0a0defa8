# NEL: two views, nonpolarized embeddings.
_base_ = '../base/erm_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
model = dict(
    methods=[dict(type='NELMethod')],
    forward_plan=dict(type='MultiViewPlan', num_views=2),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='MultiViewPipeline',
                num_views=2,
                transforms=_base_.train_dataloader.dataset.pipeline,
            )
        ]
    )
)
