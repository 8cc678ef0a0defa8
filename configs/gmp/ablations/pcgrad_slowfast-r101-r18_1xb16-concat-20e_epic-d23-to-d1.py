# Table 4, row "PCGrad".
_base_ = '../gmp_slowfast-r101-r18_1xb16-concat-20e_epic-d23-to-d1.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='pcgrad'))
