# MOOSA on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/moosa.py']
model = _base_.moosa.model
