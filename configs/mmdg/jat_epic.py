# JAT on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/jat.py']
model = _base_.jat.model
