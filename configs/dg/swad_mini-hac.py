# SWAD on the synthetic mini-HAC; the loss is measured twice an epoch.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/swad.py']
model = _base_.swad.model
default_hooks = dict(teacher=dict(_base_.swad.teacher, interval=14))
