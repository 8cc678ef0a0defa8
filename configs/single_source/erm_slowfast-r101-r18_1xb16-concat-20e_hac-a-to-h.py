# One source domain, ERM: nothing to tell domains apart by.
_base_ = [
    '../_base_/models/slowfast-r101_r18.py',
    '../_base_/datasets/hac_a-to-h.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]
model = dict(domain_head=None)
