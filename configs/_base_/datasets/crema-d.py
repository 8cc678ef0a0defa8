# CREMA-D: one frame and three seconds of sound, as the released code of OGM-GE
# has it.
# Made by data_prep/crema_d (see its README).
_base_ = 'loaders.py'
data_root = 'data/CREMA-D'

_audio = [
    # One clip has no sound; the log names it.
    dict(
        type='LoadAudioSegment',
        crop='entry',
        on_silence='keep',
        sample_rate=22050,
    ),
    dict(type='LogSpectrogram', num_samples=66150, nperseg=512, noverlap=159),
]
train_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'audio'],
        video=[
            dict(type='PyAVSeekInit'),
            dict(
                type='SampleFrames',
                clip_len=1,
                frame_interval=1,
                num_clips=1,
            ),
            dict(type='PyAVSeekDecode'),
            dict(type='RandomResizedCrop'),
            dict(type='Resize', scale=(224, 224), keep_ratio=False),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='FormatShape', input_format='NCHW'),
        ],
        audio=_audio,
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
                clip_len=1,
                frame_interval=1,
                num_clips=1,
                test_mode=True,
            ),
            dict(type='PyAVSeekDecode'),
            dict(type='Resize', scale=(224, 224), keep_ratio=False),
            dict(type='FormatShape', input_format='NCHW'),
        ],
        audio=_audio,
    ),
    dict(type='PackMultiModalInputs'),
]

train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='crema_d_train.json',
        data_root=data_root,
        pipeline=train_pipeline,
    ),
)
# There is no validation split: these numbers are to be looked at, and select
# nothing.
val_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='crema_d_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='crema_d_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
