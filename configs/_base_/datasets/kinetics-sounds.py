# Kinetics-Sounds: three frames and ten seconds of sound.
# Made by data_prep/kinetics_sounds (see its README).
_base_ = 'loaders.py'
data_root = 'data/KineticsSounds'

_audio = [
    # The log names clips without sound.
    dict(
        type='LoadAudioSegment',
        crop='entry',
        on_silence='keep',
    ),
    dict(type='LogSpectrogram'),
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
                num_clips=3,
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
                num_clips=3,
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
        ann_file='kinetics_sounds_train.json',
        data_root=data_root,
        pipeline=train_pipeline,
    ),
)
# There is no validation split: these numbers are to be looked at, and select
# nothing.
val_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='kinetics_sounds_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='kinetics_sounds_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
