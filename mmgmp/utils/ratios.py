"""Comparisons of one number per modality with those of the others."""

from __future__ import annotations

import torch
from torch import Tensor


def poison(*values: Tensor) -> Tensor:
    """Zero, 0-dim; NaN if one of the values is not finite.

    Added to a result it lets through what a comparison or a limit hides:
    ``where(ratio > 1, damped, 1)`` is 1 for NaN, and a damping factor of an
    infinite ratio is an ordinary 0. No value is moved to the host.

    Args:
        *values: Tensors of any shape.

    Example:
        >>> poison(torch.tensor([1., 2.]), torch.tensor(3.))
        tensor(0.)
        >>> poison(torch.tensor([1., torch.inf]))
        tensor(nan)
    """
    return torch.stack([(0 * value).sum() for value in values]).sum()


def mean_of_others(values: Tensor) -> Tensor:
    """Mean of the other modalities' entries.

    Args:
        values: One number per modality, ``(M,)`` with M >= 2.

    Returns:
        Tensor of shape ``(M,)``. Equal inputs give exactly equal outputs,
        because entry m is left out of the sum, not subtracted from it.

    Example:
        >>> mean_of_others(torch.tensor([1., 2., 4.]))
        tensor([3.0000, 2.5000, 1.5000])
    """
    own = torch.eye(len(values), dtype=torch.bool, device=values.device)
    return values.expand(len(values), -1).masked_fill(own, 0).sum(1) / (
        len(values) - 1
    )


def adaptive_gains(
    scores: Tensor, running_scores: Tensor, alpha: float, cap: float
) -> Tensor:
    """Gain that pulls each modality's advantage back to its own history.

    Args:
        scores: Cross-entropy of each modality's share now, ``(M,)``.
        running_scores: Its mean over the steps before, ``(M,)``.
        alpha: Strength, >= 0.
        cap: Largest exponent before alpha.

    Returns:
        kappa of shape ``(M,)``, > 0; ones for a single modality.

    Example:
        >>> adaptive_gains(
        ...     torch.tensor([0.5, 1.5]), torch.tensor([1., 1.2]), 1., 10.)
        tensor([0.2238, 1.5696])

    Source: AGM (arXiv 2308.07686) and its released code.
    """
    if len(scores) == 1:
        return torch.ones_like(scores) + poison(scores)
    advantage = torch.exp(mean_of_others(scores) - scores)
    long_run = torch.exp(mean_of_others(running_scores) - running_scores)
    return torch.exp(alpha * (long_run - advantage).clamp(max=cap))
