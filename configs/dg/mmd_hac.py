# MMD on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/mmd.py']
model = _base_.mmd.model
