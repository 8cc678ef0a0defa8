# SAM on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/sam.py']
model = _base_.sam.model
