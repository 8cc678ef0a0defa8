# Table 2, row "AGM" (ICCV 2023): adaptive gradient modulation.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
model = dict(contribution=dict(semantic='shapley'))
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='AGMModulation', alpha=1.0)
)
