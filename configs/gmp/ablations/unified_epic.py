# Table 4, row "Unified Modulation".
_base_ = '../gmp_epic.py'
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='UnifiedModulation', alpha_k=0.5),
    projection=None,
)
