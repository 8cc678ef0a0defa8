"""A weight that grows while the model is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgmp.utils.checks import check_choice

_SHAPES = ('linear', 'step')


class WeightRamp(nn.Module):
    """Go from one weight to another, and remember how far.

    Each call in training mode is a step: one per micro-batch. The count is
    part of the model's state, so that a resumed run goes on where it was.

    Args:
        start: Weight at the first step, >= 0.
        end: Weight after ``steps``, >= 0.
        steps: Number of steps in between, >= 0; 0 is ``end`` from the start.
        ramp: ``'linear'``, or ``'step'`` to stay at ``start`` until then.

    Raises:
        ValueError: If a number is negative or the shape unknown.

    Example:
        >>> ramp = WeightRamp(0.0, 4.0, 2)
        >>> [float(ramp()) for _ in range(4)]
        [0.0, 2.0, 4.0, 4.0]
    """

    count: Tensor

    def __init__(
        self, start: float, end: float, steps: int, ramp: str = 'linear'
    ) -> None:
        super().__init__()
        check_choice('ramp', ramp, _SHAPES, 'correct model.methods')
        if not (start >= 0 and end >= 0 and steps >= 0):
            raise ValueError(
                'weights and anneal_steps must be >= 0, got '
                f'{start}, {end} and {steps}; correct model.methods'
            )
        self.start = start
        self.end = end
        self.steps = steps
        self.ramp = ramp
        self.register_buffer('count', torch.zeros(()))

    def forward(self) -> Tensor:
        """Return the weight of this step, 0-dim float32."""
        done = (self.count / max(self.steps, 1)).clamp(max=1)
        if not self.steps:
            done = torch.ones_like(done)
        if self.ramp == 'step':
            done = done.floor()
        if self.training:
            self.count += 1
        return self.start + (self.end - self.start) * done
