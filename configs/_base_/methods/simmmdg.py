# SimMMDG: feature splitting, contrast, translation.
simmmdg = dict(
    model=dict(domain_head=None, methods=[dict(type='SimMMDGMethod')]),
)
