"""Typed data that the rooms pass to each other; depends on torch only."""

from mmgmp.structures.batch import MultiModalBatch
from mmgmp.structures.frozen_state import FrozenState, stack_states
from mmgmp.structures.hook_protocols import (
    AdaptableModel,
    EncodingModel,
    LossBlender,
    PrototypeMethod,
)
from mmgmp.structures.loss_report import REPORT, LossReport
from mmgmp.structures.presence import (
    keep_present,
    presence_key,
    read_presence,
    spread_rows,
)
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
from mmgmp.structures.teacher import TeachableModel, Teacher

__all__ = [
    'REPORT',
    'AdaptableModel',
    'BatchSignals',
    'Coefficients',
    'EncodingModel',
    'FrozenState',
    'GradientProducts',
    'LossBlender',
    'LossReport',
    'MultiModalBatch',
    'PrototypeMethod',
    'Task',
    'TaskLosses',
    'TeachableModel',
    'Teacher',
    'attach_task_losses',
    'get_task_losses',
    'keep_present',
    'presence_key',
    'read_presence',
    'spread_rows',
    'stack_states',
]
