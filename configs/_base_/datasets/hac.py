# HAC.
# Made by data_prep/hac (see its README).
_base_ = 'loaders.py'
data_root = 'data/HAC'

# Sound is cut to the sampled clip: of the video, without it of the flow.
_audio = [
    # Published numbers include silent clips; the log names them.
    dict(type='LoadAudioSegment', crop='clip', on_silence='keep'),
    dict(type='LogSpectrogram'),
]
train_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'flow', 'audio'],
        video=[
            dict(type='PyAVSeekInit'),
            dict(type='SampleFrames', clip_len=32, frame_interval=2),
            dict(type='PyAVSeekDecode'),
            dict(type='Resize', scale=(-1, 256)),
            dict(type='RandomResizedCrop'),
            dict(type='Resize', scale=(224, 224), keep_ratio=False),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        flow=[
            dict(type='PyAVSeekFlowInit'),
            dict(type='SampleFrames', clip_len=8, frame_interval=4),
            dict(type='PyAVSeekFlowDecode'),
            dict(type='Resize', scale=(-1, 256)),
            dict(type='RandomResizedCrop'),
            dict(type='Resize', scale=(224, 224), keep_ratio=False),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='StackFlow'),
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
# One centred clip and one crop; flow is tested at 256 pixels.
test_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'flow', 'audio'],
        video=[
            dict(type='PyAVSeekInit'),
            dict(
                type='SampleFrames',
                clip_len=32,
                frame_interval=2,
                test_mode=True,
            ),
            dict(type='PyAVSeekDecode'),
            dict(type='Resize', scale=(-1, 256)),
            dict(type='CenterCrop', crop_size=224),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        flow=[
            dict(type='PyAVSeekFlowInit'),
            dict(
                type='SampleFrames',
                clip_len=8,
                frame_interval=4,
                test_mode=True,
            ),
            dict(type='PyAVSeekFlowDecode'),
            dict(type='Resize', scale=(-1, 256)),
            dict(type='CenterCrop', crop_size=256),
            dict(type='StackFlow'),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        audio=_audio,
    ),
    dict(type='PackMultiModalInputs'),
]

train_dataloader = dict(
    dataset=dict(
        ann_file='hac_train.json',
        data_root=data_root,
        pipeline=train_pipeline,
    ),
)
# The held-out clips of the source domains select the checkpoint.
val_dataloader = dict(
    dataset=dict(
        ann_file='hac_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
# HAC tests on all clips of the unseen domain, training and test split.
test_dataloader = dict(
    dataset=dict(
        ann_file=['hac_train.json', 'hac_test.json'],
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
