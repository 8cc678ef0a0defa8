# Grad-Blending (CVPR 2020): weights renewed from the heads'
# own losses every five epochs.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/grad-blending.py',
]
model = _base_.grad_blending.model
default_hooks = dict(grad_blending=_base_.grad_blending.hook)
