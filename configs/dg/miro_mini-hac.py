# MIRO on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/miro.py']
model = _base_.miro.model
