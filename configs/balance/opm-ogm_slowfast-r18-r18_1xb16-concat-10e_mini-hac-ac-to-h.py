# OPM and OGM-GE together, the joint setting of the journal paper (TPAMI 2024).
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(
    contribution=dict(semantic=dict(type='MaskedContribution', bias='split')),
    feature_transforms=[dict(type='OPMFeatureDrop', warmup_epochs=2)],
)
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='OGMModulation', alpha=0.5, noise=True)
)
