# MixStyle on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/mixstyle.py']
model = _base_.mixstyle.model
