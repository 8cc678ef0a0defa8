"""The runners of the shipped configs."""

from __future__ import annotations

from mmgmp.engine.runner.checked_runner import CheckedRunner
from mmgmp.engine.runner.protocol_runner import ProtocolRunner

__all__ = ['CheckedRunner', 'ProtocolRunner']
