"""Inference, and summaries of many runs."""

from __future__ import annotations
