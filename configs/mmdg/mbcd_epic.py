# MBCD on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/mbcd.py']
model = _base_.mbcd.model
default_hooks = dict(teacher=_base_.mbcd.teacher)
