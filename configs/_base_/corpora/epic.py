# EPIC-Kitchens as folders of frames, at full size: video, sound and flow; one
# of three kitchens is unseen.
_base_ = [
    '../models/slowfast-r101_r18_slowonly-r50.py',
    '../datasets/epic.py',
    '../schedules/adam_20e.py',
    '../default_runtime.py',
]
protocol = dict(
    domains=['D1', 'D2', 'D3'],
    target='D1',
    sources=None,
    modalities=['video', 'audio'],
    num_classes=8,
)
