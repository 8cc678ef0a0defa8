# Joint training with a domain discriminator, nothing balanced.
_base_ = [
    '../_base_/models/slowfast-r18_r18_mini.py',
    '../_base_/datasets/mini-hac_ac-to-h.py',
    '../_base_/schedules/adam_mini.py',
    '../_base_/default_runtime.py',
]
