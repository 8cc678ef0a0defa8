# GroupDRO on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/group-dro.py']
model = _base_.group_dro.model
