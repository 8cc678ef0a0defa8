# EPIC-Kitchens as one mp4 file per action, else as in epic.py.
_base_ = [
    '../models/slowfast-r101_r18_slowonly-r50.py',
    '../datasets/epic-clips.py',
    '../schedules/adam_20e.py',
    '../default_runtime.py',
]
protocol = dict(
    domains=['D1', 'D2', 'D3'],
    target='D1',
    sources=None,
    modalities=['video', 'audio'],
    num_classes=8,
    foreign=dict(
        ann_file='hac_test.json', data_root='data/HAC', domains=['human']
    ),
)
