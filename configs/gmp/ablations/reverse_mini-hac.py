# Table 4, row "Reverse CAGP".
_base_ = '../gmp_mini-hac.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='reverse'))
