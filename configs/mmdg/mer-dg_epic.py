# MER-DG on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/mer-dg.py']
model = _base_.mer_dg.model
