# CMRF: distillation towards mixtures of averaged representations.
_base_ = '../base/erm_slowfast-r101-r18_1xb16-concat-20e_epic-d13-to-d2.py'
model = dict(
    unimodal_heads=dict(
        video=dict(
            type='MLPClassifierHead',
            num_classes=8,
            hidden_channels=0,
        ),
        audio=dict(
            type='MLPClassifierHead',
            num_classes=8,
            hidden_channels=0,
            dropout=0.0,
        ),
    ),
    methods=[dict(type='CMRFMethod')],
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='TeacherHook',
        ema_type='StochasticWeightAverage',
        begin_iter=400,
    ),
]
