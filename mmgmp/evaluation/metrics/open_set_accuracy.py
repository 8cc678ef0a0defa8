"""Known classes told apart, and unknown ones told from them."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import harmonic_mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgmp.evaluation.functional import auroc, read_label, read_score
from mmgmp.evaluation.metrics.sample_metric import SampleMetric
from mmgmp.registry import METRICS


@METRICS.register_module()
class OpenSetAccuracy(SampleMetric):
    """Accuracy where the target has classes that the sources lack.

    A model of K classes is tested on samples whose ``gt_label`` is 0..K-1
    (known) or larger (unknown): the annotation file of the target lists the
    unknown classes after the known ones. A sample whose largest fused
    probability is below a threshold is predicted to be unknown.

    Reports, all in [0, 1], at the threshold with the best harmonic mean:
    ``open_set/hos`` (harmonic mean of the next two), ``open_set/os``
    (accuracy on known samples), ``open_set/unk`` (share of unknown samples
    that are found) and ``open_set/threshold``. ``open_set/accuracy`` is the
    best accuracy over K + 1 classes, at a threshold of its own.
    ``open_set/auroc`` of the largest probability needs no threshold.

    Without ``threshold``, thresholds are chosen with the labels of the
    evaluated set, as the released code does: an upper bound and no honest
    estimate.

    Args:
        threshold: The one threshold to use, in [0, 1], for example chosen
            elsewhere; None sweeps.
        num_thresholds: Thresholds of the sweep, evenly spaced from the
            smallest to the largest probability that was seen, >= 2.
        collect_device: Device on which MMEngine gathers the ranks' results.
        prefix: Word before the slash; ``None`` means ``'open_set'``.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> import torch
        >>> metric = OpenSetAccuracy(threshold=0.7)
        >>> metric.process(None, [
        ...     {'pred_score': torch.tensor([0.9, 0.1]), 'gt_label': 0},
        ...     {'pred_score': torch.tensor([0.6, 0.4]), 'gt_label': 2}])
        >>> metric.evaluate(size=2)['open_set/hos']
        1.0

    Source: MOOSA (arXiv 2407.01518), evaluation of the released code.
    [verified] ten thresholds, accuracy over samples and not over classes.
    [choice] the AUROC and the single threshold.
    """

    default_prefix = 'open_set'

    def __init__(
        self,
        threshold: float | None = None,
        num_thresholds: int = 10,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(
                f'threshold must be in [0, 1] or None, got {threshold}; '
                'correct the evaluator'
            )
        if num_thresholds < 2:
            raise ValueError(
                f'num_thresholds must be >= 2, got {num_thresholds}; set '
                'threshold for a single one'
            )
        self.threshold = threshold
        self.num_thresholds = num_thresholds

    def read(self, sample: Mapping[str, Any]) -> tuple[float, bool, bool]:
        """Return confidence, if right, and if known; see the base class."""
        score = read_score(sample.get('pred_score'), 'pred_score')
        label = read_label(sample)
        is_right = int(score.argmax()) == label
        return float(score.max()), is_right, label < len(score)

    def compute_metrics(
        self, results: list[tuple[float, bool, bool]]
    ) -> dict[str, float]:
        """Compute all values from the samples of all ranks.

        Args:
            results: What :meth:`process` kept.

        Returns:
            Values by name, without the prefix.

        Raises:
            ValueError: If all samples are known, or all are unknown.
        """
        confidence = np.array([result[0] for result in results])
        is_right = np.array([result[1] for result in results], dtype=bool)
        is_known = np.array([result[2] for result in results], dtype=bool)
        if not is_known.any() or is_known.all():
            raise ValueError(
                'the evaluated set must hold known and unknown samples, got '
                f'{is_known.sum()} and {(~is_known).sum()}; list the unknown '
                'classes behind the known ones in its annotation file, with '
                'labels from the number of classes of the model on'
            )
        thresholds = (
            np.linspace(
                confidence.min(), confidence.max(), self.num_thresholds
            )
            if self.threshold is None
            else np.array([self.threshold])
        )
        tried = [
            _values_at(float(threshold), confidence, is_right, is_known)
            for threshold in thresholds
        ]
        # The first of several that are equally good.
        best = max(tried, key=lambda values: values['hos'])
        return {
            **best,
            'accuracy': max(values['accuracy'] for values in tried),
            'auroc': auroc(confidence[is_known], confidence[~is_known]),
        }


def _values_at(
    threshold: float,
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    is_known: NDArray[np.bool_],
) -> dict[str, float]:
    """What is measured if samples from ``threshold`` on are accepted."""
    accepted = confidence >= threshold
    known = float((accepted & is_right)[is_known].mean())
    unknown = float((~accepted)[~is_known].mean())
    found = np.where(is_known, accepted & is_right, ~accepted)
    return {
        'hos': harmonic_mean([known, unknown]),
        'os': known,
        'unk': unknown,
        'threshold': threshold,
        'accuracy': float(found.mean()),
    }
