# MixStyle: channel statistics mixed between samples, on plain joint training.
mixstyle = dict(
    model=dict(
        domain_head=None,
        forward_plan=dict(type='SinglePassPlan', noise=dict(type='MixStyle')),
    ),
)
