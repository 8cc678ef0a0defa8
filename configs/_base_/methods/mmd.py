# MMD: the domains as one distribution, by a kernel.
mmd = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='MMDMethod', num_domains=None)],
    ),
)
