"""Purity of clusters, and the way back to initial weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def purity(labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> float:
    """Share of samples that have the most frequent class of their cluster.

    Args:
        labels: True classes, ``(N,)``.
        clusters: Cluster of each sample, ``(N,)``.

    Example:
        >>> purity(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
        0.75
    """
    found = [
        np.unique(labels[clusters == cluster], return_counts=True)[1].max()
        for cluster in np.unique(clusters)
    ]
    return float(sum(found) / len(labels))


def rescale(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each dimension to [-1, 1] within the set; a constant one to 0.

    Args:
        features: ``(N, D)``.

    Example:
        >>> rescale(np.array([[1., 5.], [3., 5.]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    low, high = features.min(0), features.max(0)
    span = high - low
    middle = (high + low) / 2
    return 2 * (features - middle) / np.where(span > 0, span, 1)


@torch.no_grad()
def pull_back(
    parameters: Sequence[Tensor], initial: Sequence[Tensor], strength: float
) -> None:
    """Move parameters towards their initial values, in place.

    Args:
        parameters: theta.
        initial: theta_0, in the same order.
        strength: tau in [0, 1]; 0 changes nothing, bit for bit.

    Example:
        >>> theta = torch.tensor([3.])
        >>> pull_back([theta], [torch.tensor([1.])], 0.5)
        >>> theta
        tensor([2.])
    """
    if strength == 0:
        return  # adding zero would turn -0.0 into 0.0
    for parameter, start in zip(parameters, initial, strict=True):
        target = start.to(parameter)
        parameter.mul_(1 - strength).add_(target, alpha=strength)
