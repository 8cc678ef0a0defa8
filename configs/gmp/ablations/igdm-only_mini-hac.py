# Table 4, row "IGDM": no projection.
_base_ = '../gmp_mini-hac.py'
optim_wrapper = dict(projection=None)
