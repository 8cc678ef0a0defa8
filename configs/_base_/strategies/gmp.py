# Gradient modulation projection, and the discriminator that it acts on.
gmp = dict(
    model=dict(
        domain_head=dict(
            _delete_=True, type='DomainDiscriminatorHead', num_domains=None
        )
    ),
    optim_wrapper=dict(
        modulation=dict(
            _delete_=True, type='DecoupledModulation', alpha_k=0.5, alpha_p=0.5
        ),
        projection=dict(_delete_=True, type='TaskProjection', rule='cagp'),
    ),
)
