# Fishr: equal variances of the domains' gradients.
fishr = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='FishrMethod', num_domains=None)],
    ),
)
