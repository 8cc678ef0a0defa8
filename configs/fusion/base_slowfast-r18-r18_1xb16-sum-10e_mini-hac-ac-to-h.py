# Table 5: sum fusion, Base.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(fusion=dict(type='SumFusion'))
