# OGM (CVPR 2022): on-the-fly gradient modulation without noise.
_base_ = 'ogm-ge_mini-hac.py'
optim_wrapper = dict(modulation=dict(noise=False))
