# Table 5: activation fusion, Base.
_base_ = '../base/base_hac.py'
model = dict(fusion=dict(type='ActivationFusion'))
