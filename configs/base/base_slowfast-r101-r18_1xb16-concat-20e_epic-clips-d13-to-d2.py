# Joint training with a domain discriminator, nothing balanced.
_base_ = [
    '../_base_/models/slowfast-r101_r18.py',
    '../_base_/datasets/epic-clips_d13-to-d2.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]
model = dict(cls_head=dict(num_classes=8))
