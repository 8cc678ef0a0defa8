# Table 5: activation fusion, with GMP.
_base_ = '../gmp/gmp_mini-hac.py'
model = dict(fusion=dict(type='ActivationFusion'))
