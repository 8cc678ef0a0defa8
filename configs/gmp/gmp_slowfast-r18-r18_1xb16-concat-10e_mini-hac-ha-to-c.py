# Gradient modulation projection: IGDM and CAGP. Alpha 0.1 was chosen on source
# validation: from scratch, audio is soon seven times as confident as video,
# and the usual 0.5 would leave it 0.2 % of its gradient.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ha-to-c.py'
optim_wrapper = dict(
    modulation=dict(
        _delete_=True, type='DecoupledModulation', alpha_k=0.1, alpha_p=0.1
    ),
    projection=dict(_delete_=True, type='TaskProjection', rule='cagp'),
)
