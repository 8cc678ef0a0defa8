# MER-DG on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/mer-dg.py']
model = _base_.mer_dg.model
