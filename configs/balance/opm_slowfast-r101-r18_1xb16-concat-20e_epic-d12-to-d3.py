# OPM (TPAMI 2024): the leading modality is hidden from some samples, from
# epoch 6 on.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_epic-d12-to-d3.py'
model = dict(
    contribution=dict(semantic=dict(type='MaskedContribution', bias='split')),
    feature_transforms=[dict(type='OPMFeatureDrop')],
)
