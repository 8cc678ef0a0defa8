# SimMMDG on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/simmmdg.py']
model = _base_.simmmdg.model
