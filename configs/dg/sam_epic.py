# SAM on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/sam.py']
model = _base_.sam.model
