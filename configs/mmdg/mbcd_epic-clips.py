# MBCD on EPIC-Kitchens, one file per action.
_base_ = ['../_base_/corpora/epic-clips.py', '../_base_/methods/mbcd.py']
model = _base_.mbcd.model
default_hooks = dict(teacher=_base_.mbcd.teacher)
