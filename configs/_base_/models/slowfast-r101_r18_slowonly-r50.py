# SlowFast-R101 8x8, an audio ResNet-18 and SlowOnly-R50 8x4 for optical flow,
# pretrained, trained from their last stage on. The protocol chooses among them.
# data_prep/checkpoints says where the weights come from;
# --cfg-options model.encoders.video.pretrained=None starts one at random.
_pathway = dict(
    type='resnet3d',
    depth=101,
    pretrained=None,
    conv1_stride_t=1,
    pool1_stride_t=1,
    norm_eval=False,
)
model = dict(
    type='AudioVisualRecognizer',
    modality_order=['video', 'audio', 'flow'],
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
            flow=dict(
                type='ActionDataPreprocessor',
                mean=[128, 128],
                std=[128, 128],
                format_shape='NCTHW',
            ),
        ),
    ),
    encoders=dict(
        video=dict(
            type='ModalityEncoder',
            frozen_stages=3,
            frozen_norm_eval=True,
            feature_dropout=0.0,
            pretrained=dict(
                checkpoint='checkpoints/slowfast_r101_8x8x1_256e_'
                'kinetics400_rgb_20210218-0dd54025.pth',
                prefix='backbone.',
            ),
            backbone=dict(
                type='ResNet3dSlowFast',
                pretrained=None,
                resample_rate=4,
                speed_ratio=4,
                channel_ratio=8,
                slow_pathway=dict(
                    _pathway,
                    lateral=True,
                    fusion_kernel=7,
                    conv1_kernel=(1, 7, 7),
                    dilations=(1, 1, 1, 1),
                    inflate=(0, 0, 1, 1),
                ),
                fast_pathway=dict(
                    _pathway,
                    lateral=False,
                    base_channels=8,
                    conv1_kernel=(5, 7, 7),
                ),
            ),
        ),
        audio=dict(
            type='ModalityEncoder',
            frozen_stages=3,
            frozen_norm_eval=True,
            feature_dropout=0.0,
            # audio_layer4_init: 'pretrained', or 'random' as it is in most
            # released codes (docs/decisions/protocol.md).
            layer4_init='pretrained',
            pretrained='checkpoints/vggsound_resnet18_avgpool.pth',
            backbone=dict(type='ResNet', depth=18, in_channels=1),
        ),
        flow=dict(
            type='ModalityEncoder',
            frozen_stages=3,
            frozen_norm_eval=True,
            feature_dropout=0.0,
            pretrained=dict(
                checkpoint='checkpoints/slowonly_r50_8x8x1_256e_'
                'kinetics400_flow_20200704-6b384243.pth',
                prefix='backbone.',
            ),
            backbone=dict(
                type='ResNet3dSlowOnly',
                depth=50,
                pretrained=None,
                in_channels=2,
                lateral=False,
                conv1_kernel=(1, 7, 7),
                conv1_stride_t=1,
                pool1_stride_t=1,
                inflate=(0, 0, 1, 1),
                with_pool2=False,
                norm_eval=False,
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
