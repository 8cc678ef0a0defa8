# Table 2, row "OGM-GE" (CVPR 2022): OGM with noise.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_hac-ac-to-h.py'
model = dict(
    contribution=dict(semantic=dict(type='MaskedContribution', bias='split')),
)
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='OGMModulation', alpha=0.5, noise=True)
)
