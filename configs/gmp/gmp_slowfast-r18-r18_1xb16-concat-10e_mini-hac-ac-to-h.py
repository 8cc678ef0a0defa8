# Gradient modulation projection: IGDM and CAGP.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
optim_wrapper = dict(
    modulation=dict(
        _delete_=True, type='DecoupledModulation', alpha_k=0.5, alpha_p=0.5
    ),
    projection=dict(_delete_=True, type='TaskProjection', rule='cagp'),
)
