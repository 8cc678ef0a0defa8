# GMP's released code (variant U): unimodal heads that belong to their encoder,
# one discriminator for all modalities, dropped-out features.
gmp_u = dict(
    model=dict(
        encoders=dict(video=dict(feature_dropout=0.5)),
        domain_head=None,
        unimodal_heads=dict(
            type='MLPClassifierHead',
            num_classes=None,
            hidden_channels=0,
            dropout=0.0,
        ),
        unimodal_heads_in_modality=True,
        methods=[dict(type='GMPVariantUMethod', num_domains=None)],
        contribution='unimodal',
    ),
    optim_wrapper=dict(
        modulation=dict(
            _delete_=True, type='VariantUModulation', alpha_k=0.5, alpha_p=0.5
        ),
        projection=dict(_delete_=True, type='VariantUProjection'),
    ),
)
