# SWAD on EPIC-Kitchens; the loss is measured about twice an epoch.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/swad.py']
model = _base_.swad.model
default_hooks = dict(teacher=dict(_base_.swad.teacher, interval=200))
