# SimMMDG on mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/simmmdg.py']
model = _base_.simmmdg.model
