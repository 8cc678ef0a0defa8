"""The runner that reads a config's protocol."""

from __future__ import annotations

from mmgmp.engine.runner.protocol_runner import ProtocolRunner

__all__ = ['ProtocolRunner']
