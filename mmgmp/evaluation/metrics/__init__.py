"""Metrics for MMEngine's evaluator."""

from __future__ import annotations

from mmgmp.evaluation.metrics.audio_visual_accuracy import AudioVisualAccuracy
from mmgmp.evaluation.metrics.branch_average_accuracy import (
    BranchAverageAccuracy,
)
from mmgmp.evaluation.metrics.misclassification_detection import (
    MisclassificationDetection,
)
from mmgmp.evaluation.metrics.open_set_accuracy import OpenSetAccuracy
from mmgmp.evaluation.metrics.out_of_distribution_detection import (
    OutOfDistributionDetection,
)
from mmgmp.evaluation.metrics.sample_metric import SampleMetric

__all__ = [
    'AudioVisualAccuracy',
    'BranchAverageAccuracy',
    'MisclassificationDetection',
    'OpenSetAccuracy',
    'OutOfDistributionDetection',
    'SampleMetric',
]
