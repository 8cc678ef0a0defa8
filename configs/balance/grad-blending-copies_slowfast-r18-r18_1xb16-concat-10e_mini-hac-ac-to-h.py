# Grad-Blending (CVPR 2020), the paper's online procedure: four times the
# training.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(
    methods=[dict(type='GradBlendingMethod')],
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=7, hidden_channels=0, dropout=0.0
    ),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='GradBlendingHook', mode='copies', super_epoch=5),
]
