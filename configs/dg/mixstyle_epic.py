# MixStyle on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/mixstyle.py']
model = _base_.mixstyle.model
