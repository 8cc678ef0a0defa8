# SAM on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/sam.py']
model = _base_.sam.model
