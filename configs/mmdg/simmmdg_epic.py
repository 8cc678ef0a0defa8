# SimMMDG on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/simmmdg.py']
model = _base_.simmmdg.model
