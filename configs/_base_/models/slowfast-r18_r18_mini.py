# SlowFast-18 and ResNet-18 with 12 base channels, pretrained on other
# synthetic clips (configs/pretrain); the last stage is trained.
_pathway = dict(
    type='resnet3d',
    depth=18,
    pretrained=None,
    conv1_stride_t=1,
    dilations=(1, 1, 1, 1),
    inflate=(0, 0, 1, 1),
    norm_eval=False,
    # Residual blocks that start as the identity learn nothing in so few
    # steps of pretraining: video would stay at chance.
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
            frozen_stages=3,
            pretrained='mmgmp://mini-hac_video.pth',
            backbone=dict(
                type='ResNet3dSlowFast',
                pretrained=None,
                resample_rate=4,
                speed_ratio=4,
                channel_ratio=6,
                slow_pathway=dict(
                    _pathway,
                    base_channels=12,
                    lateral=True,
                    fusion_kernel=5,
                    conv1_kernel=(1, 7, 7),
                ),
                fast_pathway=dict(
                    _pathway,
                    base_channels=2,
                    lateral=False,
                    conv1_kernel=(5, 7, 7),
                ),
            ),
        ),
        audio=dict(
            type='ModalityEncoder',
            channels_last=True,
            frozen_stages=3,
            pretrained='mmgmp://mini-hac_audio.pth',
            # A spectrogram is one frame. MMAction2's two-dimensional ResNet
            # has no narrow form.
            backbone=dict(
                type='ResNet3d',
                depth=18,
                pretrained=None,
                in_channels=1,
                base_channels=12,
                conv1_kernel=(1, 7, 7),
                conv1_stride_t=1,
                pool1_stride_t=1,
                with_pool2=False,
                inflate=(0, 0, 0, 0),
                norm_eval=False,
                zero_init_residual=False,
            ),
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
