# CORAL on HUST motor.
_base_ = ['../_base_/corpora/hust.py', '../_base_/methods/coral.py']
model = _base_.coral.model
