# SlowFast-18 with half the channels and ResNet-18, both from scratch, for
# the synthetic mini-HAC on a CPU.
_pathway = dict(
    type='resnet3d',
    depth=18,
    pretrained=None,
    conv1_stride_t=1,
    dilations=(1, 1, 1, 1),
    inflate=(0, 0, 1, 1),
    norm_eval=False,
    # Residual blocks that start as the identity learn nothing in so few
    # steps: video would stay at chance even when trained alone.
    zero_init_residual=False,
)
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
                format_shape='NCTHW',
            ),
            audio=dict(type='ActionDataPreprocessor'),
        ),
    ),
    encoders=dict(
        video=dict(
            type='ModalityEncoder',
            channels_last=True,
            backbone=dict(
                type='ResNet3dSlowFast',
                pretrained=None,
                resample_rate=4,
                speed_ratio=4,
                channel_ratio=8,
                slow_pathway=dict(
                    _pathway,
                    base_channels=32,
                    lateral=True,
                    fusion_kernel=5,
                    conv1_kernel=(1, 7, 7),
                ),
                fast_pathway=dict(
                    _pathway,
                    base_channels=4,
                    lateral=False,
                    conv1_kernel=(5, 7, 7),
                ),
            ),
        ),
        audio=dict(
            type='ModalityEncoder',
            channels_last=True,
            backbone=dict(type='ResNet', depth=18, in_channels=1),
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
