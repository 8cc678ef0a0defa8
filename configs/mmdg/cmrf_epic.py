# CMRF on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/cmrf.py']
model = _base_.cmrf.model
default_hooks = dict(teacher=dict(_base_.cmrf.teacher, begin_iter=400))
