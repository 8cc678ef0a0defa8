# V-REx: equal risks in all domains.
vrex = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='VRExMethod', num_domains=None)],
    ),
)
