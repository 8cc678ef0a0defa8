# MBCD on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/mbcd.py']
model = _base_.mbcd.model
default_hooks = dict(teacher=_base_.mbcd.teacher)
