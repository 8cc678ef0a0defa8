# JAT: modality, local and global domain discriminators of its own.
_base_ = '../base/erm_slowfast-r101-r18_1xb16-concat-20e_hac-ac-to-h.py'
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
    methods=[dict(type='JATMethod', num_domains=2)],
    contribution=dict(semantic='masked', domain='unimodal'),
)
