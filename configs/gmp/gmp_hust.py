# Gradient modulation projection: IGDM and CAGP.
_base_ = ['../_base_/corpora/hust.py', '../_base_/strategies/gmp.py']
optim_wrapper = _base_.gmp.optim_wrapper
