# Synthetic mini-HAC.
# Made by data_prep/mini_hac and data_prep/hac (see their READMEs).
_base_ = 'loaders.py'
data_root = 'data/mini_hac'

# Audio is cropped to the seconds of the sampled clip, as in HAC.
_audio = [
    dict(type='LoadAudioSegment', crop='clip', on_silence='keep'),
    dict(type='LogSpectrogram', num_samples=20160, nperseg=256, noverlap=0),
]
train_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'audio'],
        video=[
            dict(type='PyAVSeekInit'),
            dict(type='SampleFrames', clip_len=8, frame_interval=2),
            dict(type='PyAVSeekDecode'),
            dict(type='RandomResizedCrop', area_range=(0.6, 1.0)),
            dict(type='Resize', scale=(56, 56), keep_ratio=False),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        audio=[
            *_audio,
            dict(type='SpectrogramNoise', amplitude=0.05),
            dict(type='FrequencyMask', width=9),
        ],
    ),
    dict(type='PackMultiModalInputs'),
]
test_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'audio'],
        video=[
            dict(type='PyAVSeekInit'),
            dict(
                type='SampleFrames',
                clip_len=8,
                frame_interval=2,
                test_mode=True,
            ),
            dict(type='PyAVSeekDecode'),
            dict(type='Resize', scale=(56, 56), keep_ratio=False),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        audio=_audio,
    ),
    dict(type='PackMultiModalInputs'),
]

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        ann_file='hac_train.json',
        data_root=data_root,
        pipeline=train_pipeline,
    ),
)
# The held-out clips of the source domains select the checkpoint.
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        ann_file='hac_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
# HAC tests on all clips of the unseen domain, training and test split.
test_dataloader = dict(
    num_workers=1,
    dataset=dict(
        ann_file=['hac_train.json', 'hac_test.json'],
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
