# CORAL: means and covariances of the domains, made equal.
coral = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='CORALMethod', num_domains=None)],
    ),
)
