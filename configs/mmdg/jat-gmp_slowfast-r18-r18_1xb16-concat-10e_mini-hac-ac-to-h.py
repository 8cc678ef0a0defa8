# JAT with GMP.
_base_ = 'jat_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
# No discriminator of GMP's own: JAT has one for each side.
optim_wrapper = dict(
    modulation=dict(
        _delete_=True, type='DecoupledModulation', alpha_k=0.5, alpha_p=0.5
    ),
    projection=dict(_delete_=True, type='TaskProjection'),
)
