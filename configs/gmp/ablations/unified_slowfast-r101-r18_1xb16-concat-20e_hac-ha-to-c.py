# Table 4, row "Unified Modulation".
_base_ = '../gmp_slowfast-r101-r18_1xb16-concat-20e_hac-ha-to-c.py'
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='UnifiedModulation', alpha_k=0.5),
    projection=None,
)
