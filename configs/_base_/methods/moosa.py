# MOOSA: entropy weighting, jigsaw, masked translation.
_base_ = 'linear_heads.py'
moosa = dict(
    model=dict(
        domain_head=None,
        unimodal_heads=_base_.unimodal_heads,
        methods=[dict(type='MOOSAMethod')],
    ),
)
