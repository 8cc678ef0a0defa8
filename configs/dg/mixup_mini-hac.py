# Mixup on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/mixup.py']
model = _base_.mixup.model
