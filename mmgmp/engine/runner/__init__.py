"""The runner of the shipped configs."""

from __future__ import annotations

from mmgmp.engine.runner.checked_runner import CheckedRunner

__all__ = ['CheckedRunner']
