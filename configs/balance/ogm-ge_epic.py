# Table 2, row "OGM-GE" (CVPR 2022): OGM with noise.
_base_ = ['../_base_/corpora/epic.py', '../_base_/strategies/ogm.py']
model = _base_.ogm.model
optim_wrapper = _base_.ogm.optim_wrapper
