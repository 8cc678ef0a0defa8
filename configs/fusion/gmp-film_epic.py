# Table 5: film fusion, with GMP.
_base_ = '../gmp/gmp_epic.py'
model = dict(fusion=dict(type='FiLMFusion'))
