# Table 4, row "Full CAGP": no modulation.
_base_ = '../gmp_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
optim_wrapper = dict(modulation=None)
