# Table 4, row "w/o p": p = 1.
_base_ = '../gmp_epic.py'
optim_wrapper = dict(modulation=dict(use_p=False), projection=None)
