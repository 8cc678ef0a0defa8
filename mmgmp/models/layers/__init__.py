"""Parameter-free building blocks."""

from mmgmp.models.layers.gradient_reversal import reverse_gradient

__all__ = ['reverse_gradient']
