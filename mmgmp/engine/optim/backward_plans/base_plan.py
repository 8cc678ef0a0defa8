"""The interface of a backward plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mmgmp.engine.optim.combine_rule import CombineRule
from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import (
    Gradients,
    accumulation_dtype,
    inner_products,
)
from mmgmp.engine.optim.observation import Boundary
from mmgmp.engine.optim.update_scale import GradientScale
from mmgmp.engine.optim.window import Window
from mmgmp.structures import GradientProducts, Task, TaskLosses


class BackwardPlan(ABC):
    """Turns the losses of a window into one gradient per encoder parameter.

    Heads and fusion layers get their ordinary gradient in ``.grad``.

    Args:
        rule: The decision.
        groups: The encoders' parameters.
        scale: Scales a loss before it is differentiated.
        unit: Gives the factor by which gradients are too large.
        update_scale: Is shown the tasks' gradients before they are changed.
    """

    def __init__(
        self,
        rule: CombineRule,
        groups: EncoderGroups,
        scale: Callable[[Tensor], Tensor],
        unit: Callable[[], Tensor | float],
        update_scale: GradientScale,
    ) -> None:
        self.rule = rule
        self.groups = groups
        self.scale = scale
        self.unit = unit
        self.update_scale = update_scale

    @abstractmethod
    def add(
        self,
        loss: Tensor,
        tasks: TaskLosses,
        window: Window,
        boundary: Boundary | None,
    ) -> None:
        """Differentiate one micro-batch.

        Args:
            loss: Sum of the task losses.
            tasks: The task losses.
            window: Where gradients are gathered.
            boundary: Given with the last micro-batch of the window only.
        """

    @abstractmethod
    def combined(self, window: Window, boundary: Boundary) -> Gradients:
        """Return the encoders' gradients, equal on all ranks."""

    def products(
        self, gradients: Mapping[Task, Gradients], parts: Sequence[slice]
    ) -> GradientProducts:
        """Inner products of the compared gradients for each modality."""
        absent: Gradients = [None] * max(part.stop for part in parts)
        g_c, g_d = (gradients.get(task, absent) for task in self.rule.pair)
        device = self.groups.flat[0].device
        dtype = accumulation_dtype(device)
        rows = [inner_products(g_c[part], g_d[part], device) for part in parts]
        return GradientProducts(
            *(
                torch.stack([value.to(device, dtype) for value in column])
                for column in zip(*rows, strict=True)
            )
        )
