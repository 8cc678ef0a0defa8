# Fishr on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/fishr.py']
model = _base_.fishr.model
