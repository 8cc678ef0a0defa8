# Mixup: mixtures of samples of two domains.
mixup = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='MixupMethod')],
    ),
)
