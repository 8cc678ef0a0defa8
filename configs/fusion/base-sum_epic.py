# Table 5: sum fusion, Base.
_base_ = '../base/base_epic.py'
model = dict(fusion=dict(type='SumFusion'))
