# CMRF on EPIC-Kitchens, one file per action.
_base_ = ['../_base_/corpora/epic-clips.py', '../_base_/methods/cmrf.py']
model = _base_.cmrf.model
default_hooks = dict(teacher=dict(_base_.cmrf.teacher, begin_iter=400))
