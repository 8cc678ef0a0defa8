# V-REx on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/vrex.py']
model = _base_.vrex.model
