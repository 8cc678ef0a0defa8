# Table 2, row "BALGRAD" (NAACL 2025): partly inferred, see BalGradMethod.
_base_ = ['../_base_/corpora/hac.py', '../_base_/strategies/balgrad.py']
model = _base_.balgrad.model
optim_wrapper = _base_.balgrad.optim_wrapper
