# Table 5: activation fusion, with GMP.
_base_ = '../gmp/gmp_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
model = dict(fusion=dict(type='ActivationFusion'))
