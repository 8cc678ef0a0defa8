# RNA-Net: equal mean feature norms.
rna_net = dict(
    model=dict(domain_head=None, methods=[dict(type='RNANetMethod')]),
)
