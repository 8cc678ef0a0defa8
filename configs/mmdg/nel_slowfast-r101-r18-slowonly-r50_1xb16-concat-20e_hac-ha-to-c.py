# NEL: two views, nonpolarized embeddings.
_base_ = '../modalities/erm_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ha-to-c.py'
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
