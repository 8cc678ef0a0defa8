# Grad-Blending (CVPR 2020), offline: fill in weights computed from the losses
# of separately trained networks; equal ones stand here.
_base_ = ['../_base_/corpora/hac.py', '../_base_/strategies/grad-blending.py']
_weights = dict(fused=1.0, video=1.0, audio=1.0)
model = dict(
    _base_.grad_blending.model,
    methods=[dict(type='GradBlendingMethod', weights=_weights)],
)
