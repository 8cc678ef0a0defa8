# Fishr on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/fishr.py']
model = _base_.fishr.model
