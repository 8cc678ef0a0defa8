"""Discrepancy ratios between modalities."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.utils.ratios import mean_of_others, poison

_FLOOR = 1e-12


def semantic_ratio(confidence: Tensor) -> Tensor:
    """Rho: how far a modality is ahead in classification.

    Args:
        confidence: Batch sums of the semantic confidence, ``(M,)``, >= 0.

    Returns:
        Tensor of shape ``(M,)``; ones for a single modality, NaN if a
        confidence is not finite.

    Example:
        >>> semantic_ratio(torch.tensor([1.4, 0.7]))
        tensor([2.0000, 0.5000])

    Source: GMP (arXiv 2603.14175), Eq. (8). The mean of the others for three
    or more modalities is this project's choice.
    """
    lost = poison(confidence)
    if len(confidence) == 1:
        return torch.ones_like(confidence) + lost
    return confidence / mean_of_others(confidence).clamp(min=_FLOOR) + lost


def domain_ratio(confidence: Tensor) -> Tensor:
    """Sigma: how far a modality is ahead in domain invariance.

    Args:
        confidence: Batch sums of the domain confidence, ``(M,)``, >= 0.

    Returns:
        Tensor of shape ``(M,)``; ones for a single modality, NaN if a
        confidence is not finite.

    Example:
        >>> domain_ratio(torch.tensor([1.6, 0.8]))
        tensor([0.5000, 2.0000])

    Source: GMP (arXiv 2603.14175), Eq. (8), defined in the opposite direction
    of :func:`semantic_ratio` on purpose.
    """
    lost = poison(confidence)
    if len(confidence) == 1:
        return torch.ones_like(confidence) + lost
    return mean_of_others(confidence) / confidence.clamp(min=_FLOOR) + lost


def suppression(ratio: Tensor, alpha: float) -> Tensor:
    """Coefficient of a modality that is ahead by ``ratio``.

    Args:
        ratio: Discrepancy ratio, ``(M,)``, dimensionless.
        alpha: Suppression strength, >= 0; 0 switches it off.

    Returns:
        Tensor of shape ``(M,)`` in [0, 1]: ``1 - tanh(alpha * ratio)`` where
        the ratio is strictly above 1, else 1; NaN for NaN.

    Example:
        >>> suppression(torch.tensor([2.0, 0.5]), 0.5)
        tensor([0.2384, 1.0000])

    Source: GMP (arXiv 2603.14175), Eq. (9) and (10).
    """
    # Asked this way round, NaN is not among those that are let off.
    return torch.where(
        ratio <= 1, torch.ones_like(ratio), 1 - torch.tanh(alpha * ratio)
    )
