# V-REx on the synthetic mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/vrex.py']
model = _base_.vrex.model
# A run has 336 steps.
model.methods[0].anneal_steps = 100
