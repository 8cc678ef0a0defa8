# The algorithm of GMP's released code (variant U).
_base_ = [
    '../../_base_/models/slowfast-r101_r18_gmp-u.py',
    '../../_base_/datasets/epic_d12-to-d3.py',
    '../../_base_/schedules/adam_15e_gmp-u.py',
    '../../_base_/default_runtime.py',
]
model = dict(cls_head=dict(num_classes=8), unimodal_heads=dict(num_classes=8))
