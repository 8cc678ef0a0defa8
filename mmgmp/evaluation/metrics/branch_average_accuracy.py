"""Accuracy of the mean of fused and unimodal logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmaction.evaluation import top_k_accuracy
from numpy.typing import NDArray

from mmgmp.evaluation.functional import read_label, read_score
from mmgmp.evaluation.metrics.sample_metric import SampleMetric
from mmgmp.registry import METRICS


@METRICS.register_module()
class BranchAverageAccuracy(SampleMetric):
    """Top-1 accuracy of the fused and all unimodal classifiers together.

    Logits are averaged. Data samples hold probabilities, whose logarithms are
    the logits up to a constant per sample and branch, which changes no
    ranking. Reports ``avg/top1`` in [0, 1], beside another metric, for the
    network that is validated: teacher or student.

    The unimodal classifiers must be what ``modality_scores`` are of: set
    ``model.contribution=dict(semantic='unimodal')``.

    Args:
        collect_device: Device on which MMEngine gathers the ranks' results.
        prefix: Word before the slash; ``None`` means ``'avg'``.

    Example:
        >>> import torch
        >>> metric = BranchAverageAccuracy()
        >>> metric.process(None, [
        ...     {'pred_score': torch.tensor([0.6, 0.4]),
        ...      'modality_scores': {'audio': torch.tensor([0.1, 0.9])},
        ...      'gt_label': torch.tensor([1])}])
        >>> metric.evaluate(size=1)
        {'avg/top1': 1.0}

    Source: CMRF (NeurIPS 2024), which logs it in the released code.
    """

    default_prefix = 'avg'

    def read(
        self, sample: Mapping[str, Any]
    ) -> tuple[NDArray[np.float64], int]:
        """Return the averaged logits and the label; see the base class."""
        by_modality = sample.get('modality_scores')
        if not by_modality:
            raise KeyError(
                'modality_scores must be in every data sample, got only '
                f'{sorted(sample)}; set model.unimodal_heads and '
                "model.contribution=dict(semantic='unimodal')"
            )
        scores = [
            read_score(sample.get('pred_score'), 'pred_score'),
            *(
                read_score(x, f'modality_scores[{m!r}]')
                for m, x in by_modality.items()
            ),
        ]
        logits = np.mean([_log(score) for score in scores], axis=0)
        return logits, read_label(sample, len(logits))

    def compute_metrics(
        self, results: list[tuple[NDArray[np.float64], int]]
    ) -> dict[str, float]:
        """Compute the accuracy from the samples of all ranks.

        Args:
            results: What :meth:`process` kept.

        Returns:
            Value by name, without the prefix.
        """
        logits, labels = zip(*results, strict=True)
        (top1,) = top_k_accuracy(logits, labels, (1,))
        return {'top1': float(top1)}


def _log(score: NDArray[np.float32]) -> NDArray[np.float64]:
    # What has underflowed counts as the smallest number there is.
    return np.log(np.maximum(score, np.finfo(score.dtype).tiny), dtype=float)
