# With one domain the semantic coefficient is left of GMP: sigma = p = 1, and
# there is no domain gradient to project.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/gmp.py',
]
optim_wrapper = _base_.gmp.optim_wrapper
