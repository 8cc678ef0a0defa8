# DGL (ICCV 2025): encoders learn from their unimodal losses alone.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/unimodal.py',
]
model = _base_.dgl.model
optim_wrapper = _base_.dgl.optim_wrapper
