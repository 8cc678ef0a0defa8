# Table 4, row "CAGP": no modulation.
_base_ = '../gmp_mini-hac.py'
optim_wrapper = dict(modulation=None)
