# OGM-GE (CVPR 2022) on HUST motor: OGM with noise.
_base_ = ['../_base_/corpora/hust.py', '../_base_/strategies/ogm.py']
model = _base_.ogm.model
optim_wrapper = _base_.ogm.optim_wrapper
