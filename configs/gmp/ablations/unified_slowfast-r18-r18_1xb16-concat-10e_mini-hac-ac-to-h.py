# Table 4, row "Unified Modulation".
_base_ = '../gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='UnifiedModulation', alpha_k=0.5),
    projection=None,
)
