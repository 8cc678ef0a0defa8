"""Partners of other domains, without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor


def other_domain(domain_labels: Tensor) -> Tensor:
    """Draw a partner from another domain for each sample, ``(N,)``.

    Where there is none, one of the same domain; only a single sample is its
    own.

    Args:
        domain_labels: ``(N,)``.

    Example:
        >>> other_domain(torch.tensor([0, 1]))
        tensor([1, 0])
    """
    count, device = len(domain_labels), domain_labels.device
    scores = torch.rand(count, count, device=device)
    is_same = domain_labels[:, None] == domain_labels
    own = torch.eye(count, device=device)
    return (scores - is_same.float() - own).argmax(1)
