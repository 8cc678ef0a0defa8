# CMRF on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/cmrf.py']
model = _base_.cmrf.model
default_hooks = dict(teacher=dict(_base_.cmrf.teacher, begin_iter=100))
