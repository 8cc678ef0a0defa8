# MWAM (ICLR 2026): factors from the frequency content of the inputs.
_base_ = ['../_base_/corpora/hac.py', '../_base_/strategies/mwam.py']
model = _base_.mwam.model
optim_wrapper = _base_.mwam.optim_wrapper
