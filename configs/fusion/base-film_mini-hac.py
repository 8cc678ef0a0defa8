# Table 5: film fusion, Base.
_base_ = '../base/base_mini-hac.py'
model = dict(fusion=dict(type='FiLMFusion'))
