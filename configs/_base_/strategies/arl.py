# ARL (ICCV 2025): the settings of the authors' CREMA-D script.
arl = dict(
    model=dict(
        methods=[
            dict(type='ShareStatisticsMethod'),
            dict(
                type='SharedHeadUnimodalMethod',
                weight=4.0,
                warmup_epochs=5,
                detach_head=False,
            ),
        ],
        contribution=dict(
            semantic=dict(type='MaskedContribution', bias='keep')
        ),
    ),
    optim_wrapper=dict(
        modulation=dict(
            _delete_=True,
            type='ARLModulation',
            temperature=8.0,
            start_epoch=5,
        )
    ),
)
