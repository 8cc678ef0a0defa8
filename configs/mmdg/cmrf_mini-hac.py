# CMRF on mini-HAC. The average begins after one epoch of 28 steps, as it does
# on HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/cmrf.py']
model = _base_.cmrf.model
default_hooks = dict(teacher=dict(_base_.cmrf.teacher, begin_iter=28))
