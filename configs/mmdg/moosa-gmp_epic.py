# MOOSA with GMP.
_base_ = ['moosa_epic.py', '../_base_/strategies/gmp.py']
model = dict(
    _base_.gmp.model,
    methods=[dict(type='MOOSAMethod', detach_weights=True)],
)
optim_wrapper = _base_.gmp.optim_wrapper
