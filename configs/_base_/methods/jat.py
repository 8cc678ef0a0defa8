# JAT: modality, local and global domain discriminators of its own.
_base_ = 'linear_heads.py'
jat = dict(
    model=dict(
        domain_head=None,
        unimodal_heads=_base_.unimodal_heads,
        methods=[dict(type='JATMethod', num_domains=None)],
        contribution=dict(semantic='masked', domain='unimodal'),
    ),
)
