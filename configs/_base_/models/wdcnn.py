# A WDCNN for each signal, small enough for a CPU, trained from the start.
_signal = dict(type='ActionDataPreprocessor')
model = dict(
    type='AudioVisualRecognizer',
    modality_order=['vibration', 'sound'],
    data_preprocessor=dict(
        type='AudioVisualDataPreprocessor',
        preprocessors=dict(vibration=_signal, sound=_signal),
    ),
    encoders=dict(
        # Three axes.
        vibration=dict(
            type='ModalityEncoder',
            backbone=dict(type='WDCNN', in_channels=3),
        ),
        sound=dict(
            type='ModalityEncoder',
            backbone=dict(type='WDCNN', in_channels=1),
        ),
    ),
    fusion=dict(type='ConcatFusion'),
    # None: as many as the protocol says.
    cls_head=dict(
        type='MLPClassifierHead', num_classes=None, hidden_channels=256
    ),
    domain_head=dict(
        type='DomainDiscriminatorHead', num_domains=None, hidden_channels=256
    ),
)
del _signal
