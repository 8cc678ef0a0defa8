# IRM on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/irm.py']
model = _base_.irm.model
