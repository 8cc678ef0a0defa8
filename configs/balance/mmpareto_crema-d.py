# MMPareto (ICML 2024): fused and unimodal gradients without conflict.
_base_ = ['../_base_/corpora/crema-d.py', '../_base_/strategies/unimodal.py']
model = _base_.mmpareto.model
optim_wrapper = _base_.mmpareto.optim_wrapper
