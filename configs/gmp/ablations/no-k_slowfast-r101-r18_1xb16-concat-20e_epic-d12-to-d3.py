# Table 4, row "w/o k": k = 1.
_base_ = '../gmp_slowfast-r101-r18_1xb16-concat-20e_epic-d12-to-d3.py'
optim_wrapper = dict(modulation=dict(use_k=False), projection=None)
