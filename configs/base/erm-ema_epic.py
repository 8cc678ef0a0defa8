# ERM whose exponentially averaged weights are validated and tested.
_base_ = ['erm_epic.py', '../_base_/averaging.py']
default_hooks = dict(teacher=_base_.averaging.ema)
