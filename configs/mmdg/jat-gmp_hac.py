# JAT with GMP.
_base_ = ['jat_hac.py', '../_base_/strategies/gmp.py']
# No discriminator of GMP's own: JAT has one for each side.
optim_wrapper = _base_.gmp.optim_wrapper
