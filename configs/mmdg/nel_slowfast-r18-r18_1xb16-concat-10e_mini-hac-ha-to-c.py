# NEL: two views, nonpolarized embeddings.
_base_ = '../base/erm_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ha-to-c.py'
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
