# CMRF: distillation towards mixtures of averaged representations.
_base_ = 'linear_heads.py'
cmrf = dict(
    model=dict(
        domain_head=None,
        unimodal_heads=_base_.unimodal_heads,
        methods=[dict(type='CMRFMethod')],
    ),
    teacher=dict(type='TeacherHook', ema_type='StochasticWeightAverage'),
)
