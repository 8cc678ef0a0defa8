# The model of GMP's released code (variant U): unimodal heads that belong to
# their encoder, one discriminator for all modalities, dropped-out features.
_base_ = 'slowfast-r101_r18.py'
model = dict(
    encoders=dict(video=dict(feature_dropout=0.5)),
    cls_head=dict(hidden_channels=512),
    domain_head=None,
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=7, hidden_channels=0, dropout=0.0
    ),
    unimodal_heads_in_modality=True,
    methods=[dict(type='GMPVariantUMethod', num_domains=2)],
    contribution='unimodal',
)
