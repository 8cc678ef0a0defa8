"""Metrics for MMEngine's evaluator."""

from __future__ import annotations

from mmgmp.evaluation.metrics.audio_visual_accuracy import AudioVisualAccuracy
from mmgmp.evaluation.metrics.misclassification_detection import (
    MisclassificationDetection,
)

__all__ = ['AudioVisualAccuracy', 'MisclassificationDetection']
