# Table 2, row "DRB" (ECCV 2024): encoders are pulled back after the 0-based
# epochs 3 and 6 of twelve.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/strategies/drb.py']
default_hooks = dict(drb=dict(_base_.drb.hook, interval=3, times=2))
