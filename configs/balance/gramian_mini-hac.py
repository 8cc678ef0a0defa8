# MGDA; IMTL-G, ConFIG, Nash-MTL, Aligned-MTL, DualProj, CAGrad and GradVac by
# optim_wrapper.projection.rule.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/strategies/gramian.py']
optim_wrapper = _base_.gramian.optim_wrapper
