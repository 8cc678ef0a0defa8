"""What diagnosing and re-learning computes, apart from when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import collect_results, is_main_process
from numpy.typing import NDArray
from torch import Tensor

from mmgmp.structures import read_presence

Features = dict[str, NDArray[np.float64]]


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


@torch.no_grad()
def collect_features(
    model: Any, dataloader: Any
) -> tuple[Features, NDArray[np.int64]] | None:
    """Return encoder outputs and labels of a data loader.

    In eval mode, in the order of the data; each rank encodes its share.

    Args:
        model: The model, unwrapped.
        dataloader: Labelled batches.

    Returns:
        ``(N, D_m)`` per modality and ``(N,)``; None on all ranks but 0, where
        they are collected.

    Raises:
        ValueError: If a sample lacks a modality.
    """
    was_training = model.training
    model.eval()
    rows = []
    for data in dataloader:
        data = model.data_preprocessor(data, False)
        if missing := sorted(read_presence(data['inputs'])):
            raise ValueError(
                'DRBHook measures every modality on every sample, got samples '
                f"without {missing}; set the dataset's on_missing='raise' or "
                'drop the hook'
            )
        outputs = {
            m: x.double().cpu()
            for m, x in model.encode(data['inputs']).items()
        }
        for index, sample in enumerate(data['data_samples']):
            row = {m: x[index].clone() for m, x in outputs.items()}
            rows.append((row, int(sample.gt_label)))
    model.train(was_training)
    rows = collect_results(rows, len(dataloader.dataset))
    if not is_main_process():
        return None
    modalities = rows[0][0]
    features = {
        m: torch.stack([row[m] for row, _ in rows]).numpy() for m in modalities
    }
    return features, np.array([label for _, label in rows])
