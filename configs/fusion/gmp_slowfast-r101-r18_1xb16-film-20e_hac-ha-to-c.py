# Table 5: film fusion, with GMP.
_base_ = '../gmp/gmp_slowfast-r101-r18_1xb16-concat-20e_hac-ha-to-c.py'
model = dict(fusion=dict(type='FiLMFusion'))
