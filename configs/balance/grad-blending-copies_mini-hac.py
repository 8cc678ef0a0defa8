# Grad-Blending (CVPR 2020), the paper's online procedure: four times the
# training.
_base_ = 'grad-blending_mini-hac.py'
default_hooks = dict(grad_blending=dict(mode='copies', super_epoch=5))
