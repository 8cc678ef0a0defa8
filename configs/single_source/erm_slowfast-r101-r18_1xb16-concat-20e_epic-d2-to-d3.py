# One source domain, ERM: nothing to tell domains apart by.
_base_ = [
    '../_base_/models/slowfast-r101_r18.py',
    '../_base_/datasets/epic_d2-to-d3.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]
model = dict(cls_head=dict(num_classes=8), domain_head=None)
