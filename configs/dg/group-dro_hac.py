# GroupDRO on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/group-dro.py']
model = _base_.group_dro.model
