# Table 2, row "Grad-Blending" (CVPR 2020): weights renewed from the heads'
# own losses every three of the twelve epochs.
_base_ = [
    '../_base_/corpora/mini-hac.py',
    '../_base_/strategies/grad-blending.py',
]
model = _base_.grad_blending.model
default_hooks = dict(
    grad_blending=dict(_base_.grad_blending.hook, super_epoch=3)
)
