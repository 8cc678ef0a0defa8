# EPIC-Kitchens, folders of frames.
# Made by data_prep/epic (see its README).
_base_ = 'loaders.py'
data_root = 'data/EPIC'

# Sound is that of the whole annotated action.
_audio = [
    # Published numbers include silent actions; the log names their files.
    dict(type='LoadAudioSegment', crop='entry', on_silence='keep'),
    dict(type='LogSpectrogram'),
]
train_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'flow', 'audio'],
        video=[
            dict(type='SampleFrames', clip_len=32, frame_interval=2),
            dict(type='RawFrameDecode'),
            dict(type='Resize', scale=(-1, 256)),
            dict(type='RandomResizedCrop'),
            dict(type='Resize', scale=(224, 224), keep_ratio=False),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        flow=[
            dict(type='SampleFrames', clip_len=8, frame_interval=4),
            dict(type='LoadFlowFrames'),
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
            dict(
                type='SampleFrames',
                clip_len=32,
                frame_interval=2,
                test_mode=True,
            ),
            dict(type='RawFrameDecode'),
            dict(type='Resize', scale=(-1, 256)),
            dict(type='CenterCrop', crop_size=224),
            dict(type='FormatShape', input_format='NCTHW'),
        ],
        flow=[
            dict(
                type='SampleFrames',
                clip_len=8,
                frame_interval=4,
                test_mode=True,
            ),
            dict(type='LoadFlowFrames'),
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
        ann_file='epic_train.json',
        data_root=data_root,
        pipeline=train_pipeline,
    ),
)
# The held-out clips of the source domains select the checkpoint.
val_dataloader = dict(
    dataset=dict(
        ann_file='epic_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
# EPIC-Kitchens tests on the test split of the unseen domain.
test_dataloader = dict(
    dataset=dict(
        ann_file='epic_test.json',
        data_root=data_root,
        pipeline=test_pipeline,
    ),
)
