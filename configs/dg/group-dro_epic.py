# GroupDRO on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/group-dro.py']
model = _base_.group_dro.model
