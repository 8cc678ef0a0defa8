# Table 5: activation fusion, Base.
_base_ = '../base/base_epic-clips.py'
model = dict(fusion=dict(type='ActivationFusion'))
