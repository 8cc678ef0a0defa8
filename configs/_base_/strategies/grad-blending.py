# Grad-Blending (CVPR 2020): weights renewed from the heads' own losses.
grad_blending = dict(
    model=dict(
        methods=[dict(type='GradBlendingMethod')],
        unimodal_heads=dict(
            type='MLPClassifierHead',
            num_classes=None,
            hidden_channels=0,
            dropout=0.0,
        ),
    ),
    hook=dict(type='GradBlendingHook', mode='tracked', super_epoch=5),
)
