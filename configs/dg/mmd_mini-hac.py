# MMD on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/mmd.py']
model = _base_.mmd.model
