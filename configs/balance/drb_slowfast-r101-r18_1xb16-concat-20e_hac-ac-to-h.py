# Table 2, row "DRB" (ECCV 2024): encoders are pulled back after the 0-based
# epochs 5, 10 and 15 of twenty.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_hac-ac-to-h.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DRBHook', mu=3.0, interval=5, times=3),
]
