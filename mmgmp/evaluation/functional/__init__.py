"""Measures of arrays; no model, no config."""

from __future__ import annotations

from mmgmp.evaluation.functional.confidence import (
    area_under_risk_coverage,
    auroc,
    fpr_at_tpr,
)
from mmgmp.evaluation.functional.samples import read_label, read_score

__all__ = [
    'area_under_risk_coverage',
    'auroc',
    'fpr_at_tpr',
    'read_label',
    'read_score',
]
