# GMP whose exponentially averaged weights are validated and tested.
_base_ = ['gmp_epic.py', '../_base_/averaging.py']
default_hooks = dict(teacher=_base_.averaging.ema)
