# MOOSA on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/moosa.py']
model = _base_.moosa.model
