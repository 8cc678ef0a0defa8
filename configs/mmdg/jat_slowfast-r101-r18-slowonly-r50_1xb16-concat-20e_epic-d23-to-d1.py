# JAT: modality, local and global domain discriminators of its own.
_base_ = '../modalities/erm_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_epic-d23-to-d1.py'
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
        flow=dict(
            type='MLPClassifierHead',
            num_classes=8,
            hidden_channels=0,
        ),
    ),
    methods=[dict(type='JATMethod', num_domains=2)],
    contribution=dict(semantic='masked', domain='unimodal'),
)
