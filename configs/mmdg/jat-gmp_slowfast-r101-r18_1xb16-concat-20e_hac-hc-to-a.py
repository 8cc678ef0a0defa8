# JAT with GMP.
_base_ = 'jat_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
# No discriminator of GMP's own: JAT has one for each side.
optim_wrapper = dict(
    modulation=dict(
        _delete_=True,
        type='DecoupledModulation',
        alpha_k=0.5,
        alpha_p=0.5,
    ),
    projection=dict(_delete_=True, type='TaskProjection'),
)
