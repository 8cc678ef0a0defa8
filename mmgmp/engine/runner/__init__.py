"""The runners of the shipped configs, and what they print."""

from __future__ import annotations

from mmgmp.engine.runner.adaptive_test_loop import AdaptiveTestLoop
from mmgmp.engine.runner.brief_log_processor import BriefLogProcessor
from mmgmp.engine.runner.checked_runner import CheckedRunner
from mmgmp.engine.runner.protocol_runner import ProtocolRunner

__all__ = [
    'AdaptiveTestLoop',
    'BriefLogProcessor',
    'CheckedRunner',
    'ProtocolRunner',
]
