# HAC at full size: video, sound and flow; one of three domains is unseen.
# --cfg-options protocol.target=cartoon protocol.modalities="[video,flow]"
_base_ = [
    '../models/slowfast-r101_r18_slowonly-r50.py',
    '../datasets/hac.py',
    '../schedules/adam_20e.py',
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
