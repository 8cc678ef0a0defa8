# CORAL on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/coral.py']
model = _base_.coral.model
