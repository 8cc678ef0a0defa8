# The algorithm of GMP's released code (variant U).
_base_ = (
    '../../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
)
model = dict(
    encoders=dict(video=dict(feature_dropout=0.5)),
    domain_head=None,
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=7, hidden_channels=0, dropout=0.0
    ),
    unimodal_heads_in_modality=True,
    methods=[dict(type='GMPVariantUMethod', num_domains=2)],
    contribution='unimodal',
)
optim_wrapper = dict(
    modulation=dict(_delete_=True, type='VariantUModulation'),
    projection=dict(_delete_=True, type='VariantUProjection'),
)
