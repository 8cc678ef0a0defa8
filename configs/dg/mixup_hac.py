# Mixup on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/mixup.py']
model = _base_.mixup.model
