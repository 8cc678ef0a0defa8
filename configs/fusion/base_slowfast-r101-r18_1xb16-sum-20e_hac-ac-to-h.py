# Table 5: sum fusion, Base.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_hac-ac-to-h.py'
model = dict(fusion=dict(type='SumFusion'))
