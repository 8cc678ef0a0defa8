# InfoReg (CVPR 2025): the encoder that is ahead drifts less.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/anchor.py',
]
optim_wrapper = _base_.inforeg.optim_wrapper
