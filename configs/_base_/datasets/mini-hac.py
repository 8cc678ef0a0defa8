# Synthetic mini-HAC.
# Made by data_prep/mini_hac and data_prep/hac (see their READMEs).
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

# Domains and modalities are filled in from the protocol.
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='AudioVisualDataset',
        ann_file='hac_train.json',
        data_root=data_root,
        domains=[],
        modalities=[],
        pipeline=train_pipeline,
    ),
)
# The held-out clips of the source domains select the checkpoint.
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='AudioVisualDataset',
        ann_file='hac_test.json',
        data_root=data_root,
        domains=[],
        modalities=[],
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
# HAC tests on all clips of the unseen domain, training and test split.
test_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='AudioVisualDataset',
        ann_file=['hac_train.json', 'hac_test.json'],
        data_root=data_root,
        domains=[],
        modalities=[],
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='AudioVisualAccuracy')
test_evaluator = dict(type='AudioVisualAccuracy')
