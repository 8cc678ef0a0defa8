# Table 2, row "DRB" (ECCV 2024): encoders are pulled back after the 0-based
# epochs 3 and 6 of ten.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DRBHook', mu=3.0, interval=3, times=2),
]
