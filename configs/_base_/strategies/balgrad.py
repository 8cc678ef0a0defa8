# BALGRAD (NAACL 2025): partly inferred, see BalGradMethod.
balgrad = dict(
    model=dict(
        methods=[dict(type='BalGradMethod')],
        unimodal_heads=dict(
            type='MLPClassifierHead',
            num_classes=None,
            hidden_channels=0,
            dropout=0.0,
        ),
    ),
    optim_wrapper=dict(
        projection=dict(_delete_=True, type='BalGradProjection')
    ),
)
