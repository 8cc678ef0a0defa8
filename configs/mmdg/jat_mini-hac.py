# JAT on mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/jat.py']
model = _base_.jat.model
