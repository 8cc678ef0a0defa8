# SWAD on HAC; the loss is measured once an epoch.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/swad.py']
model = _base_.swad.model
default_hooks = dict(teacher=_base_.swad.teacher)
