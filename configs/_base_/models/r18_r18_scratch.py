# Two ResNet-18 from random weights, as the papers on balanced learning use
# them: one on a few video frames, whose features are averaged, and one on the
# spectrogram; joined by concatenation and a linear layer. There is one domain,
# hence no discriminator.
_backbone = dict(type='ResNet', depth=18)
model = dict(
    type='AudioVisualRecognizer',
    modality_order=['video', 'audio'],
    data_preprocessor=dict(
        type='AudioVisualDataPreprocessor',
        preprocessors=dict(
            video=dict(
                type='ActionDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                format_shape='NCHW',
            ),
            audio=dict(type='ActionDataPreprocessor'),
        ),
    ),
    encoders=dict(
        # A two-dimensional backbone takes the frames one by one.
        video=dict(type='ModalityEncoder', backbone=_backbone),
        audio=dict(
            type='ModalityEncoder',
            backbone=dict(**_backbone, in_channels=1),
        ),
    ),
    fusion=dict(type='ConcatFusion'),
    # None: as many as the protocol says.
    cls_head=dict(
        type='MLPClassifierHead',
        num_classes=None,
        hidden_channels=0,
        dropout=0.0,
    ),
    domain_head=None,
)
