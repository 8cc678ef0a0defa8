# Mixup on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/mixup.py']
model = _base_.mixup.model
