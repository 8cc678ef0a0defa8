# Table 4, row "PCGrad".
_base_ = '../gmp_epic.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='pcgrad'))
