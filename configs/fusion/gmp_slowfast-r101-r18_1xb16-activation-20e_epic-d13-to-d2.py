# Table 5: activation fusion, with GMP.
_base_ = '../gmp/gmp_slowfast-r101-r18_1xb16-concat-20e_epic-d13-to-d2.py'
model = dict(fusion=dict(type='ActivationFusion'))
