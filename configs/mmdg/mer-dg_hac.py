# MER-DG on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/mer-dg.py']
model = _base_.mer_dg.model
