# MIRO on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/miro.py']
model = _base_.miro.model
