# AGM (ICCV 2023): adaptive gradient modulation.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/agm.py',
]
model = _base_.agm.model
optim_wrapper = _base_.agm.optim_wrapper
