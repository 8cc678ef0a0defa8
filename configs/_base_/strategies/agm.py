# AGM (ICCV 2023): adaptive gradient modulation.
agm = dict(
    model=dict(contribution=dict(semantic='shapley')),
    optim_wrapper=dict(
        modulation=dict(_delete_=True, type='AGMModulation', alpha=1.0)
    ),
)
