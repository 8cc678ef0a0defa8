# Table 4, row "IGDM": no projection.
_base_ = '../gmp_epic.py'
optim_wrapper = dict(projection=None)
