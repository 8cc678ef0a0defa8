# MMD on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/mmd.py']
model = _base_.mmd.model
