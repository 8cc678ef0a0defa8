# The algorithm of GMP's released code (variant U).
_base_ = [
    '../../_base_/models/slowfast-r101_r18_gmp-u.py',
    '../../_base_/datasets/hac_hc-to-a.py',
    '../../_base_/schedules/adam_15e_gmp-u.py',
    '../../_base_/default_runtime.py',
]
