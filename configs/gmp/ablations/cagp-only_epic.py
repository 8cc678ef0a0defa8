# Table 4, row "CAGP": no modulation.
_base_ = '../gmp_epic.py'
optim_wrapper = dict(modulation=None)
