# The pull of RedReg (arXiv 2511.13755): drift across the gradient only.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/anchor.py',
]
optim_wrapper = _base_.redreg.optim_wrapper
