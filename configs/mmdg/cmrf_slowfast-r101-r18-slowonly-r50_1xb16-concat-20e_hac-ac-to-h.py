# CMRF: distillation towards mixtures of averaged representations.
_base_ = '../modalities/erm_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ac-to-h.py'
model = dict(
    unimodal_heads=dict(
        video=dict(
            type='MLPClassifierHead',
            num_classes=7,
            hidden_channels=0,
        ),
        audio=dict(
            type='MLPClassifierHead',
            num_classes=7,
            hidden_channels=0,
            dropout=0.0,
        ),
        flow=dict(
            type='MLPClassifierHead',
            num_classes=7,
            hidden_channels=0,
        ),
    ),
    methods=[dict(type='CMRFMethod')],
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='TeacherHook',
        ema_type='StochasticWeightAverage',
        begin_iter=100,
    ),
]
