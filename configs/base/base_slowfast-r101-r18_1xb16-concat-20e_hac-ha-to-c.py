# Joint training with a domain discriminator, nothing balanced.
_base_ = [
    '../_base_/models/slowfast-r101_r18.py',
    '../_base_/datasets/hac_ha-to-c.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]
