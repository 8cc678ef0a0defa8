# Table 5: activation fusion, Base.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_epic-d13-to-d2.py'
model = dict(fusion=dict(type='ActivationFusion'))
