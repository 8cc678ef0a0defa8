"""Metrics, and the functions that they are made of."""

from __future__ import annotations

from mmgmp.evaluation.functional import (
    area_under_risk_coverage,
    auroc,
    fpr_at_tpr,
)
from mmgmp.evaluation.metrics import (
    AudioVisualAccuracy,
    BranchAverageAccuracy,
    MisclassificationDetection,
    OpenSetAccuracy,
    OutOfDistributionDetection,
)

__all__ = [
    'AudioVisualAccuracy',
    'BranchAverageAccuracy',
    'MisclassificationDetection',
    'OpenSetAccuracy',
    'OutOfDistributionDetection',
    'area_under_risk_coverage',
    'auroc',
    'fpr_at_tpr',
]
