"""Whether the confidence of a model tells its errors apart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmgmp.evaluation.functional import (
    area_under_risk_coverage,
    auroc,
    fpr_at_tpr,
    read_label,
    read_score,
)
from mmgmp.evaluation.metrics.sample_metric import SampleMetric
from mmgmp.registry import METRICS

_SUM_TOLERANCE = 1e-3


@METRICS.register_module()
class MisclassificationDetection(SampleMetric):
    """AURC, AUROC and FPR95 of the largest class probability.

    Reports ``misclassification/aurc`` (lower is better), ``/auroc`` (higher)
    and ``/fpr95`` (lower), all in [0, 1]; correct predictions are the
    positives. The last two are NaN, with a warning, when the model is always
    right or always wrong.

    Args:
        collect_device: Device on which MMEngine gathers the ranks' results.
        prefix: Word before the slash; ``None`` means ``'misclassification'``.

    Example:
        >>> import torch
        >>> metric = MisclassificationDetection()
        >>> metric.process(None, [
        ...     {'pred_score': torch.tensor([0.75, 0.25]),
        ...      'gt_label': torch.tensor([label])} for label in (0, 1)])
        >>> metric.evaluate(size=2)['misclassification/auroc']
        0.5

    Source: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and
    Out-of-Distribution Examples in Neural Networks" (ICLR 2017).
    """

    default_prefix = 'misclassification'

    def read(self, sample: Mapping[str, Any]) -> tuple[float, bool]:
        """Return confidence and whether it is right; see the base class."""
        score = read_score(sample.get('pred_score'), 'pred_score')
        if score.min() < 0 or abs(score.sum() - 1) > _SUM_TOLERANCE:
            raise ValueError(
                'pred_score must be probabilities, got the range '
                f'[{score.min()}, {score.max()}] with sum {score.sum()}; '
                'apply softmax to the logits in the recognizer'
            )
        label = read_label(sample, len(score))
        return float(score.max()), int(np.argmax(score)) == label

    def compute_metrics(
        self, results: list[tuple[float, bool]]
    ) -> dict[str, float]:
        """Compute the three measures from the samples of all ranks.

        Args:
            results: What :meth:`process` kept.

        Returns:
            Values by name, without the prefix.

        Raises:
            ValueError: If there is no sample.
        """
        confidence = np.array([result[0] for result in results])
        correct = np.array([result[1] for result in results], dtype=bool)
        aurc = area_under_risk_coverage(confidence, correct)
        if correct.all() or not correct.any():
            print_log(
                f'{int(correct.sum())} of {len(correct)} predictions are '
                'correct: auroc and fpr95 are not defined and reported as NaN',
                logger='current',
                level=logging.WARNING,
            )
            return {'aurc': aurc, 'auroc': np.nan, 'fpr95': np.nan}
        right, wrong = confidence[correct], confidence[~correct]
        return {
            'aurc': aurc,
            'auroc': auroc(right, wrong),
            'fpr95': fpr_at_tpr(right, wrong),
        }
