# Table 4, row "IGDM": no projection.
_base_ = '../gmp_hac.py'
optim_wrapper = dict(projection=None)
