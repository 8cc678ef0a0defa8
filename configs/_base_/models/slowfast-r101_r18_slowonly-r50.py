# Video, audio and optical flow: a third encoder, SlowOnly-R50 8x4.
_base_ = 'slowfast-r101_r18.py'
model = dict(
    modality_order=['video', 'audio', 'flow'],
    data_preprocessor=dict(
        preprocessors=dict(
            flow=dict(
                type='ActionDataPreprocessor',
                mean=[128, 128],
                std=[128, 128],
                format_shape='NCTHW',
            ),
        ),
    ),
    encoders=dict(
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
)
