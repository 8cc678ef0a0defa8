# ERM whose exponentially averaged weights are validated and tested. The window
# is a sixth of the 336 steps, as 1000 steps are on EPIC-Kitchens.
_base_ = ['erm_mini-hac.py', '../_base_/averaging.py']
default_hooks = dict(teacher=dict(_base_.averaging.ema, momentum=0.02))
