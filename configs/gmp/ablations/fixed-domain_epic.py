# Table 4, row "Fixed Proj-Domain".
_base_ = '../gmp_epic.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='fixed_domain'))
