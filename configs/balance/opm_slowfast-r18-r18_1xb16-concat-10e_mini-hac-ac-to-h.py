# OPM (TPAMI 2024): the leading modality is hidden from some samples, from
# epoch 2 of ten on.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(
    contribution=dict(semantic=dict(type='MaskedContribution', bias='split')),
    feature_transforms=[dict(type='OPMFeatureDrop', warmup_epochs=2)],
)
