"""One backward pass through each encoder, of its own weighted losses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from mmgmp.engine.optim.backward_plans.base_plan import BackwardPlan
from mmgmp.engine.optim.gradients import Gradients, backward_into
from mmgmp.engine.optim.observation import Boundary
from mmgmp.engine.optim.reduction import GradientReduction
from mmgmp.engine.optim.window import Window
from mmgmp.structures import Coefficients, Task, TaskLosses


class ModalityPlan(BackwardPlan):
    """Weights the losses before they are differentiated.

    Exact without a projection, because the combined gradient is then linear
    in the task losses. For windows of one micro-batch, whose ratios are known
    before its gradients.
    """

    def add(
        self,
        loss: Tensor,
        tasks: TaskLosses,
        window: Window,
        boundary: Boundary | None,
    ) -> None:
        """Differentiate one batch; see the base class."""
        del loss
        assert boundary is not None
        coefficients = self.rule.coefficients(boundary.signals)
        attached = tasks.attached()
        if not attached:
            window.combined = [None] * len(self.groups.flat)
            return
        gradients: Gradients = []
        # Heads and fusion first, by the plain sum: each encoder's pass then
        # frees nothing that another one needs, but for the last.
        backward_into(
            self.scale(tasks.sum_of()), [], [], self.groups.others, True
        )
        dropped = self.rule.dropped(boundary.signals)
        kept = {t: x for t, x in attached.items() if t not in dropped}
        if not kept:
            window.combined = [None] * len(self.groups.flat)
            return
        for index, parameters in enumerate(self.groups.by_modality.values()):
            gradients += backward_into(
                self.scale(_weighted(kept, coefficients, index)),
                parameters,
                [None] * len(parameters),
                [],
                retain_graph=index + 1 < len(self.groups.by_modality),
            )
        window.combined = gradients

    def combined(self, window: Window, boundary: Boundary) -> Gradients:
        """Return the gradients; see the base class."""
        gradients = window.combined
        assert gradients is not None
        if get_world_size() > 1:
            gradients = GradientReduction(
                self.groups.flat, gradients, boundary.rank_weight
            ).wait()
        return gradients


def _weighted(
    losses: Mapping[Task, Tensor], coefficients: Coefficients, index: int
) -> Tensor:
    """What one encoder descends on: ``sum_t k_t L_t``, 0-dim."""
    return torch.stack(
        [
            coefficients.of(task)[index].to(loss.dtype) * loss
            for task, loss in losses.items()
        ]
    ).sum()
