# MixStyle on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/mixstyle.py']
model = _base_.mixstyle.model
