# OGM (CVPR 2022): on-the-fly gradient modulation without noise.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(
    contribution=dict(semantic=dict(type='MaskedContribution', bias='split')),
)
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='OGMModulation', alpha=0.5)
)
