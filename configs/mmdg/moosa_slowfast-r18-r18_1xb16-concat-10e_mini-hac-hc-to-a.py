# MOOSA: entropy weighting, jigsaw, masked translation.
_base_ = '../base/erm_slowfast-r18-r18_1xb16-concat-10e_mini-hac-hc-to-a.py'
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
    ),
    methods=[dict(type='MOOSAMethod')],
)
