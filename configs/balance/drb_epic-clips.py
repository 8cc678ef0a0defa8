# Table 2, row "DRB" (ECCV 2024): encoders are pulled back after the 0-based
# epochs 5, 10 and 15 of twenty.
_base_ = ['../_base_/corpora/epic-clips.py', '../_base_/strategies/drb.py']
default_hooks = dict(drb=_base_.drb.hook)
