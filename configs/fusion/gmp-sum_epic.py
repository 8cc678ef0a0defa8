# Table 5: sum fusion, with GMP.
_base_ = '../gmp/gmp_epic.py'
model = dict(fusion=dict(type='SumFusion'))
