# The synthetic mini-HAC: video and sound; one of three domains is unseen.
_base_ = [
    '../models/slowfast-r18_r18_mini.py',
    '../datasets/mini-hac.py',
    '../schedules/adam_mini.py',
    '../default_runtime.py',
]
protocol = dict(
    domains=['human', 'animal', 'cartoon'],
    target='human',
    sources=None,
    modalities=['video', 'audio'],
    num_classes=7,
    # Sound is cut to the sampled clip, so that alone it needs the picture.
    companions=dict(audio='video'),
    # EPIC-Kitchens, one mp4 file per action.
    foreign=dict(
        ann_file='epic_test.json', data_root='data/EPIC', domains=['D1']
    ),
)
