"""Typed data that the rooms pass to each other; depends on torch only."""

from mmgmp.structures.batch import MultiModalBatch
from mmgmp.structures.signals import (
    BatchSignals,
    Coefficients,
    GradientProducts,
)
from mmgmp.structures.task_losses import (
    Task,
    TaskLosses,
    attach_task_losses,
    get_task_losses,
)

__all__ = [
    'BatchSignals',
    'Coefficients',
    'GradientProducts',
    'MultiModalBatch',
    'Task',
    'TaskLosses',
    'attach_task_losses',
    'get_task_losses',
]
