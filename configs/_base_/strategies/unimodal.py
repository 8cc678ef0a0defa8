# What tells the losses of each modality alone from the fused one: MMPareto
# (ICML 2024) and DGL (ICCV 2025).
mmpareto = dict(
    model=dict(
        methods=[dict(type='UnimodalHeadsMethod')],
        unimodal_heads=dict(
            type='MLPClassifierHead',
            num_classes=None,
            hidden_channels=0,
            dropout=0.0,
        ),
    ),
    optim_wrapper=dict(
        projection=dict(_delete_=True, type='ParetoProjection', gamma=1.5)
    ),
)
dgl = dict(
    model=dict(methods=[dict(type='SharedHeadUnimodalMethod')]),
    optim_wrapper=dict(
        modulation=dict(
            _delete_=True, type='DisentangledModulation', alpha=1.0
        )
    ),
)
