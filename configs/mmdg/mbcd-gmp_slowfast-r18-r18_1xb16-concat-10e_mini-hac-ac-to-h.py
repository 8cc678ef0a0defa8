# MBCD with GMP.
_base_ = 'mbcd_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(
    domain_head=dict(
        _delete_=True, type='DomainDiscriminatorHead', num_domains=2
    )
)
optim_wrapper = dict(
    modulation=dict(
        _delete_=True, type='DecoupledModulation', alpha_k=0.5, alpha_p=0.5
    ),
    projection=dict(_delete_=True, type='TaskProjection'),
)
