# PMR (CVPR 2023): features of the slow modality, pulled to prototypes.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/pmr.py',
]
model = _base_.pmr.model
default_hooks = dict(prototypes=_base_.pmr.hook)
