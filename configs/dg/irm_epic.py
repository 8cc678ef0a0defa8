# IRM on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/irm.py']
model = _base_.irm.model
