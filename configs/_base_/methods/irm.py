# IRM: one classifier that is optimal in every domain.
irm = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='IRMMethod', num_domains=None)],
    ),
)
