# Table 4, row "w/o p": p = 1.
_base_ = '../gmp_mini-hac.py'
optim_wrapper = dict(modulation=dict(use_p=False), projection=None)
