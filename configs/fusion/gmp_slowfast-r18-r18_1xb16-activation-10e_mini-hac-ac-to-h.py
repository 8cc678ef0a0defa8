# Table 5: activation fusion, with GMP.
_base_ = '../gmp/gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(fusion=dict(type='ActivationFusion'))
