# OGM-GE (CVPR 2022) and OPM (TPAMI 2024).
_contribution = dict(
    semantic=dict(type='MaskedContribution', bias='split'),
)
ogm = dict(
    model=dict(contribution=_contribution),
    optim_wrapper=dict(
        modulation=dict(
            _delete_=True, type='OGMModulation', alpha=0.5, noise=True
        )
    ),
)
opm = dict(
    model=dict(
        contribution=_contribution,
        feature_transforms=[dict(type='OPMFeatureDrop')],
    ),
)
