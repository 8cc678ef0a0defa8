# HUST motor: windows of vibration and sound.
# Made by data_prep/hust (see its README).
_base_ = 'loaders.py'
data_root = 'data/HUST'

_window = [dict(type='LoadSignalWindow'), dict(type='StandardizeSignal')]
pipeline = [
    dict(
        type='MultiModalPipeline',
        order=['vibration', 'sound'],
        vibration=_window,
        sound=_window,
    ),
    dict(type='PackMultiModalInputs'),
]
_loader = dict(batch_size=64, num_workers=1)
train_dataloader = dict(
    **_loader,
    dataset=dict(
        ann_file='hust_train.json', data_root=data_root, pipeline=pipeline
    ),
)
# The held-out end of the sources' recordings selects the checkpoint.
val_dataloader = dict(
    **_loader,
    dataset=dict(
        ann_file='hust_test.json', data_root=data_root, pipeline=pipeline
    ),
)
# Whole recordings of the unseen speed.
test_dataloader = dict(
    **_loader,
    dataset=dict(
        ann_file=['hust_train.json', 'hust_test.json'],
        data_root=data_root,
        pipeline=pipeline,
    ),
)
del _loader
