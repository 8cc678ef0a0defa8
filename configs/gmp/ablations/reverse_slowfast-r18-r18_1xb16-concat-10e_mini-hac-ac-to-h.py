# Table 4, row "Reverse CAGP".
_base_ = '../gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
optim_wrapper = dict(modulation=None, projection=dict(rule='reverse'))
