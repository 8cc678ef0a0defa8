# MBCD on mini-HAC. The decay is 0.98 and not 0.999, because 336 steps
# would leave the teacher near its initial weights.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/mbcd.py']
model = _base_.mbcd.model
default_hooks = dict(teacher=dict(_base_.mbcd.teacher, momentum=0.02))
