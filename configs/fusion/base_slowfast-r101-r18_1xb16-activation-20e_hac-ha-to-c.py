# Table 5: activation fusion, Base.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_hac-ha-to-c.py'
model = dict(fusion=dict(type='ActivationFusion'))
