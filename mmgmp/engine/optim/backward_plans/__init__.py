"""How the losses of a window become one gradient per encoder."""

from __future__ import annotations

from mmgmp.engine.optim.backward_plans.base_plan import BackwardPlan
from mmgmp.engine.optim.backward_plans.feature_plan import FeaturePlan
from mmgmp.engine.optim.backward_plans.modality_plan import ModalityPlan
from mmgmp.engine.optim.backward_plans.task_plan import TaskPlan
from mmgmp.engine.optim.combine_rule import CombineRule
from mmgmp.utils.checks import check_choice

__all__ = ['BackwardPlan', 'FeaturePlan', 'ModalityPlan', 'TaskPlan', 'choose']

LEVELS = ('parameter', 'feature')
ACTS_ON = ('gradient', 'update')


def choose(
    rule: CombineRule,
    level: str,
    accumulative_counts: int,
    acts_on: str = 'gradient',
) -> type[BackwardPlan]:
    """Choose by the strategy alone.

    It must not depend on a rank's batch: every rank has to join the same
    collectives in the same order.
    """
    check_choice('level', level, LEVELS, 'set optim_wrapper.level')
    if level == 'feature' and accumulative_counts > 1:
        raise ValueError(
            "level='feature' decides within one forward pass and allows "
            f'no gradient accumulation, got accumulative_counts='
            f"{accumulative_counts}; use optim_wrapper.level='parameter'"
        )
    check_choice('acts_on', acts_on, ACTS_ON, 'set optim_wrapper.acts_on')
    if acts_on == 'update':
        if level == 'feature':
            raise ValueError(
                "acts_on='update' compares gradients of parameters, got "
                "level='feature'; set optim_wrapper.level='parameter'"
            )
        return TaskPlan
    if len(rule.task_groups) == 1:
        return TaskPlan
    if level == 'feature':
        if rule.acts_on_tensors:
            raise ValueError(
                f"level='feature' knows no single tensors, which modulation="
                f'{rule.modulation_name} needs; use '
                "optim_wrapper.level='parameter'"
            )
        return FeaturePlan
    # Within a longer window the weights of the first micro-batches are not
    # known when these are differentiated.
    is_single = accumulative_counts == 1
    return ModalityPlan if rule.is_linear and is_single else TaskPlan
