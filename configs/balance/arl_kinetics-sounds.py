# ARL (ICCV 2025): modalities weighed by the inverse of their variance, from
# epoch 5 on.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/arl.py',
]
model = _base_.arl.model
optim_wrapper = _base_.arl.optim_wrapper
