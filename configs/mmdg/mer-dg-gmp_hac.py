# MER-DG with GMP.
_base_ = ['mer-dg_hac.py', '../_base_/strategies/gmp.py']
model = _base_.gmp.model
optim_wrapper = _base_.gmp.optim_wrapper
