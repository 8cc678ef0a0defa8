# Table 4, row "w/o k": k = 1.
_base_ = '../gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
optim_wrapper = dict(modulation=dict(use_k=False), projection=None)
