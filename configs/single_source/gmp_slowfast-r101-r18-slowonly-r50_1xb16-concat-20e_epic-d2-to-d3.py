# One source domain, GMP: only the semantic coefficient acts.
_base_ = 'erm_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_epic-d2-to-d3.py'
optim_wrapper = dict(
    modulation=dict(
        _delete_=True, type='DecoupledModulation', alpha_k=0.5, alpha_p=0.5
    ),
    projection=dict(_delete_=True, type='TaskProjection', rule='cagp'),
)
