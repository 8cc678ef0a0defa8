# Table 4, row "Reverse CAGP".
_base_ = '../gmp_slowfast-r101-r18_1xb16-concat-20e_epic-d13-to-d2.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='reverse'))
