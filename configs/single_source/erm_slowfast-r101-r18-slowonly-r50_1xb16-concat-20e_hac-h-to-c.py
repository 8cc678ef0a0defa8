# One source domain, ERM with video, audio and flow.
_base_ = [
    '../_base_/models/slowfast-r101_r18_slowonly-r50.py',
    '../_base_/datasets/hac_h-to-c.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]
model = dict(domain_head=None)
train_dataloader = dict(dataset=dict(modalities=['video', 'audio', 'flow']))
val_dataloader = dict(dataset=dict(modalities=['video', 'audio', 'flow']))
test_dataloader = dict(dataset=dict(modalities=['video', 'audio', 'flow']))
