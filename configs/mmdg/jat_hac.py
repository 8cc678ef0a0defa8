# JAT on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/jat.py']
model = _base_.jat.model
