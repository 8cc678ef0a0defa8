"""Random absence of modalities, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmgmp.utils.ratios import poison


def drop_modalities(
    features: Mapping[str, Tensor], probability: Tensor
) -> dict[str, Tensor]:
    """Set features of some samples to zero, without rescaling the others.

    A sample that would lose everything keeps one modality, drawn evenly.

    Args:
        features: ``(N, D_m)`` per modality.
        probability: Of dropping each modality, ``(M,)`` in modality order.

    Returns:
        Features of the same shapes; NaN if a probability is.

    Example:
        >>> features = {'v': torch.ones(1, 2), 'a': torch.ones(1, 1)}
        >>> drop_modalities(features, torch.tensor([1., 0.]))
        {'v': tensor([[0., 0.]]), 'a': tensor([[1.]])}

    Source: MBCD (arXiv 2511.20258), Eq. (4); that one modality stays is
    from the later released code of JAT.
    """
    count = len(next(iter(features.values())))
    rates = probability.expand(count, -1)
    kept = torch.rand_like(rates) >= rates
    spared = torch.rand_like(rates).argsort(1) == 0
    kept |= spared & ~kept.any(1, keepdim=True)
    lost = poison(probability)
    return {
        m: x * (kept[:, index, None] + lost).to(x.dtype)
        for index, (m, x) in enumerate(features.items())
    }
