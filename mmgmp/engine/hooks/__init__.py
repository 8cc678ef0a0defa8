"""Behaviour at certain moments of a run."""

from __future__ import annotations

from mmgmp.engine.hooks.branch_visualization_hook import (
    BranchVisualizationHook,
)
from mmgmp.engine.hooks.drb_hook import DRBHook
from mmgmp.engine.hooks.exact_resume_hook import ExactResumeHook
from mmgmp.engine.hooks.feature_cache_hook import FeatureCacheHook
from mmgmp.engine.hooks.grad_blending_hook import GradBlendingHook
from mmgmp.engine.hooks.prototype_hook import PrototypeHook
from mmgmp.engine.hooks.run_summary_hook import RunSummaryHook
from mmgmp.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from mmgmp.engine.hooks.settings_check_hook import SettingsCheckHook
from mmgmp.engine.hooks.swad_hook import SWADHook
from mmgmp.engine.hooks.task_gradient_hook import TaskGradientHook
from mmgmp.engine.hooks.teacher_hook import TeacherHook

__all__ = [
    'BranchVisualizationHook',
    'DRBHook',
    'ExactResumeHook',
    'FeatureCacheHook',
    'GradBlendingHook',
    'PrototypeHook',
    'RunSummaryHook',
    'SWADHook',
    'SafeCheckpointHook',
    'SettingsCheckHook',
    'TaskGradientHook',
    'TeacherHook',
]
