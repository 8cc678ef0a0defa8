# CORAL on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/coral.py']
model = _base_.coral.model
