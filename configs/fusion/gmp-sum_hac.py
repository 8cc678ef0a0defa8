# Table 5: sum fusion, with GMP.
_base_ = '../gmp/gmp_hac.py'
model = dict(fusion=dict(type='SumFusion'))
