# Video, audio and flow, Base.
_base_ = [
    '../_base_/models/slowfast-r101_r18_slowonly-r50.py',
    '../_base_/datasets/hac_hc-to-a.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(modalities=['video', 'audio', 'flow']))
val_dataloader = dict(dataset=dict(modalities=['video', 'audio', 'flow']))
test_dataloader = dict(dataset=dict(modalities=['video', 'audio', 'flow']))
