# MOOSA: entropy weighting, jigsaw, masked translation.
_base_ = '../base/erm_slowfast-r101-r18_1xb16-concat-20e_hac-ha-to-c.py'
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
