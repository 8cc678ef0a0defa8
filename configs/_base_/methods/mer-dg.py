# MER-DG: spread of each modality's features.
mer_dg = dict(
    model=dict(domain_head=None, methods=[dict(type='MERDGMethod')]),
)
