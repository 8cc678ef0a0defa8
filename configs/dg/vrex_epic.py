# V-REx on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/vrex.py']
model = _base_.vrex.model
