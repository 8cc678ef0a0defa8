# The algorithm of GMP's released code (variant U).
_base_ = ['../../_base_/corpora/epic.py', '../../_base_/strategies/gmp-u.py']
model = dict(_base_.gmp_u.model, cls_head=dict(hidden_channels=512))
optim_wrapper = _base_.gmp_u.optim_wrapper
train_cfg = dict(max_epochs=15)
