# Table 4, row "w/o k": k = 1.
_base_ = '../gmp_hac.py'
optim_wrapper = dict(modulation=dict(use_k=False), projection=None)
