# Table 5: activation fusion, Base.
_base_ = '../base/base_epic.py'
model = dict(fusion=dict(type='ActivationFusion'))
