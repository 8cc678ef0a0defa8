# GroupDRO: the worst domain counts most.
group_dro = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='GroupDROMethod', num_domains=None)],
    ),
)
