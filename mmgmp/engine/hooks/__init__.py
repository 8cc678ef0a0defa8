"""Behaviour at certain moments of a run."""

from __future__ import annotations

from mmgmp.engine.hooks.task_gradient_hook import TaskGradientHook

__all__ = ['TaskGradientHook']
