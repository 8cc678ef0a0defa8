# EPIC-Kitchens, one mp4 file per action.
# Made by data_prep/epic --layout clips (see its README).
_base_ = 'epic.py'
_train, _test = _base_.train_pipeline[0], _base_.test_pipeline[0]
_read_video = dict(type='PyAVSeekInit'), dict(type='PyAVSeekDecode')
_read_flow = dict(type='PyAVSeekFlowInit'), dict(type='PyAVSeekFlowDecode')

train_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'flow', 'audio'],
        video=[
            _read_video[0],
            _train.video[0],
            _read_video[1],
            *_train.video[2:],
        ],
        flow=[
            _read_flow[0],
            _train.flow[0],
            _read_flow[1],
            *_train.flow[2:],
        ],
        audio=_train.audio,
    ),
    dict(type='PackMultiModalInputs'),
]
test_pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['video', 'flow', 'audio'],
        video=[
            _read_video[0],
            _test.video[0],
            _read_video[1],
            *_test.video[2:],
        ],
        flow=[
            _read_flow[0],
            _test.flow[0],
            _read_flow[1],
            *_test.flow[2:],
        ],
        audio=_test.audio,
    ),
    dict(type='PackMultiModalInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
