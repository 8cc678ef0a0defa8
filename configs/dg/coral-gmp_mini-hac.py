# CORAL with GMP, whose domain gradient is the distance's.
_base_ = ['coral_mini-hac.py', '../_base_/strategies/gmp.py']
optim_wrapper = _base_.gmp.optim_wrapper
