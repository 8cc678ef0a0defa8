"""Inference, and summaries of many runs."""

from __future__ import annotations

from mmgmp.apis.inferencer import MMGMPInferencer

__all__ = ['MMGMPInferencer']
