# CGGM (NeurIPS 2024).
_base_ = ['../_base_/corpora/crema-d.py', '../_base_/strategies/cggm.py']
model = _base_.cggm.model
optim_wrapper = _base_.cggm.optim_wrapper
