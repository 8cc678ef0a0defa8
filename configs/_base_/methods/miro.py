# MIRO: features near those of the pretrained encoders.
miro = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='MIROMethod')],
    ),
)
