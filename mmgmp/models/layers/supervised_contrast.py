"""Supervised contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor


def supervised_contrast(
    vectors: Tensor,
    labels: Tensor,
    temperature: float = 0.1,
    base_temperature: float = 0.07,
) -> Tensor:
    """Pull vectors of one class together, against all others.

    Positives are all other vectors of the class, whatever modality, view or
    domain they come from.

    Args:
        vectors: Unit vectors, ``(R, D)``.
        labels: Class of each vector, ``(R,)``.
        temperature: Tau, > 0.
        base_temperature: Tau_0; the loss carries the factor tau / tau_0.

    Returns:
        0-dim loss; 0 for a single vector.

    Example:
        >>> u = torch.tensor([[1., 0.], [0., 1.], [1., 0.], [0., 1.]])
        >>> supervised_contrast(u, torch.tensor([0, 0, 0, 0]), 1., 1.)
        tensor(1.2181)

    Source: Khosla et al., NeurIPS 2020 (arXiv 2004.11362), Eq. (2). The
    factor tau / tau_0 is that of its released code; the weights of the MMDG
    methods were tuned with it.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    similarity = vectors @ vectors.T / temperature
    # Finite, so that a row with nothing else in it has a gradient of zero.
    lowest = torch.finfo(similarity.dtype).min
    log_probability = similarity.masked_fill(itself, lowest).log_softmax(1)
    positive = (labels[:, None] == labels) & ~itself
    mean = torch.where(positive, log_probability, 0).sum(1)
    mean = mean / positive.sum(1).clamp(min=1)
    return -(temperature / base_temperature) * mean.mean()


def stack_modalities(
    vectors: dict[str, Tensor], labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the vectors of all modalities below each other.

    Args:
        vectors: ``(N, D)`` per modality.
        labels: ``(N,)``.

    Returns:
        Vectors ``(M * N, D)`` and their labels ``(M * N,)``.

    Example:
        >>> one = torch.ones(1, 2)
        >>> stack_modalities({'v': one, 'a': one}, torch.tensor([3]))[1]
        tensor([3, 3])
    """
    return torch.cat(list(vectors.values())), labels.repeat(len(vectors))
