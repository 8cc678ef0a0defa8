# Grad-Blending (CVPR 2020), offline: fill in weights computed from the losses
# of separately trained networks; equal ones stand here.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(
    methods=[
        dict(
            type='GradBlendingMethod',
            weights=dict(fused=1.0, video=1.0, audio=1.0),
        )
    ],
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=7, hidden_channels=0, dropout=0.0
    ),
)
