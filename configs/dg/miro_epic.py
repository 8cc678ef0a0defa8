# MIRO on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/miro.py']
model = _base_.miro.model
