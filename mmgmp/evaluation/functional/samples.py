"""Read predictions from data samples, or say what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def read_score(value: Any, name: str) -> NDArray[np.float32]:
    """Check one score vector and move it to the host.

    Args:
        value: Scores of one sample, tensor of shape ``(K,)``.
        name: What the message calls it, such as ``'pred_score'``.

    Returns:
        Array of shape ``(K,)``.

    Raises:
        TypeError: If it is not a tensor.
        ValueError: If it is not a vector or holds NaN or infinity, which
            would otherwise rank first and count as an ordinary prediction.

    Example:
        >>> read_score(torch.tensor([0.25, 0.75]), 'pred_score')
        array([0.25, 0.75], dtype=float32)
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f'{name} must be a tensor of shape (K,), got '
            f'{type(value).__name__}; set it in the recognizer when it '
            "runs in mode='predict'"
        )
    score: NDArray[np.float32] = value.detach().float().cpu().numpy()
    if score.ndim != 1:
        raise ValueError(
            f'{name} must have the shape (K,), got {tuple(score.shape)}; '
            'average the clips of a sample before the evaluation'
        )
    if not np.isfinite(score).all():
        raise ValueError(
            f'{name} must be finite, got {score}; the model has diverged: '
            'look for the first non-finite value in the training log'
        )
    return score


def read_label(
    sample: Mapping[str, Any], num_classes: int | None = None
) -> int:
    """Check the class label of one sample.

    Args:
        sample: Data sample as a dict with ``gt_label`` of shape ``(1,)``.
        num_classes: Number of classes K that the scores have; None where the
            set holds further ones.

    Returns:
        Label in 0..K-1, or any from 0 on.

    Raises:
        KeyError: If there is no ``gt_label``.
        ValueError: If it is not one label in range.

    Example:
        >>> read_label({'gt_label': torch.tensor([2])}, num_classes=3)
        2
    """
    if 'gt_label' not in sample:
        raise KeyError(
            'gt_label must be in every data sample, got only '
            f'{sorted(sample)}; annotate the evaluated split with labels'
        )
    label = torch.as_tensor(sample['gt_label']).flatten()
    if num_classes is None:
        if len(label) != 1 or int(label[0]) < 0:
            raise ValueError(
                f'gt_label must be one label >= 0, got {label.tolist()}; '
                'correct the annotation file'
            )
    elif len(label) != 1 or not 0 <= int(label[0]) < num_classes:
        raise ValueError(
            f'gt_label must be one label in 0..{num_classes - 1}, got '
            f'{label.tolist()}; compare num_classes of the heads with the '
            "annotation file's class list"
        )
    return int(label[0])
