# CGGM (NeurIPS 2024): the clipping belongs to the method, and the probes learn
# at half the rate.
cggm = dict(
    model=dict(methods=[dict(type='CGGMProbesMethod', lambda_gm=0.2)]),
    optim_wrapper=dict(
        modulation=dict(_delete_=True, type='CGGMModulation', rho_s=1.3),
        clip_grad=dict(max_norm=0.8),
        paramwise_cfg=dict(custom_keys={'methods': dict(lr_mult=0.5)}),
    ),
)
