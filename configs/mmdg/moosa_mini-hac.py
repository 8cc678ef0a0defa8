# MOOSA on mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/moosa.py']
model = _base_.moosa.model
