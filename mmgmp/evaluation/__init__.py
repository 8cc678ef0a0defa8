"""Metrics, and the functions that they are made of."""

from __future__ import annotations

from mmgmp.evaluation.functional import (
    area_under_risk_coverage,
    auroc,
    fpr_at_tpr,
)
from mmgmp.evaluation.metrics import (
    AudioVisualAccuracy,
    MisclassificationDetection,
    OutOfDistributionDetection,
)

__all__ = [
    'AudioVisualAccuracy',
    'MisclassificationDetection',
    'OutOfDistributionDetection',
    'area_under_risk_coverage',
    'auroc',
    'fpr_at_tpr',
]
