# CORAL on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/coral.py']
model = _base_.coral.model
