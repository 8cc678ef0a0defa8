# The algorithm of GMP's released code (variant U).
_base_ = [
    '../../_base_/corpora/mini-hac.py',
    '../../_base_/strategies/gmp-u.py',
]
model = _base_.gmp_u.model
optim_wrapper = _base_.gmp_u.optim_wrapper
