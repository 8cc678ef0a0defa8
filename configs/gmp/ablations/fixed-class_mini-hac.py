# Table 4, row "Fixed Proj-Class".
_base_ = '../gmp_mini-hac.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='fixed_class'))
