# Table 2, row "Grad-Blending" (CVPR 2020): weights renewed from the heads'
# own losses every three of the ten epochs.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-hc-to-a.py'
model = dict(
    methods=[dict(type='GradBlendingMethod')],
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=7, hidden_channels=0, dropout=0.0
    ),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='GradBlendingHook', mode='tracked', super_epoch=3),
]
