"""Gradient reversal layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        return grad_outputs[0] * -ctx.weight, None


def reverse_gradient(features: Tensor, weight: float) -> Tensor:
    """Pass features on, and their gradient back multiplied by ``-weight``.

    Args:
        features: Any tensor.
        weight: Reversal coefficient lambda, >= 0, dimensionless.

    Returns:
        A tensor of the same shape and values.

    Example:
        >>> x = torch.ones(1, requires_grad=True)
        >>> (3 * reverse_gradient(x, 0.3)).sum().backward()
        >>> x.grad
        tensor([-0.9000])

    Source: Ganin and Lempitsky, ICML 2015 (arXiv 1409.7495); GMP (arXiv
    2603.14175), Eq. (2).
    """
    result: Tensor = _GradientReversal.apply(features, weight)
    return result
