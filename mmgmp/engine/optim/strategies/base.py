"""The two seams of a gradient strategy: modulation and projection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
)


def check_window(start_epoch: int, end_epoch: int | None) -> None:
    """Refuse an empty activity window.

    Args:
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If the window is empty or starts before epoch 0.
    """
    if start_epoch < 0 or (end_epoch is not None and end_epoch < start_epoch):
        raise ValueError(
            'start_epoch and end_epoch must satisfy 0 <= start_epoch <= '
            f'end_epoch, got {start_epoch} and {end_epoch}; leave '
            'end_epoch=None to stay active to the end'
        )


class Strategy:
    """What modulations and projections share: a window and a state.

    Args:
        start_epoch: First epoch, 0-based, in which the strategy acts.
        end_epoch: Last such epoch, inclusive; ``None`` means to the end.

    Raises:
        ValueError: If the window is empty.
    """

    #: Confidences that must be attached to the loss.
    required_confidences: frozenset[Task] = frozenset()

    def __init__(
        self, start_epoch: int = 0, end_epoch: int | None = None
    ) -> None:
        check_window(start_epoch, end_epoch)
        self.start_epoch = start_epoch
        self.end_epoch = end_epoch

    def is_active(self, epoch: int) -> bool:
        """Return whether the strategy acts in this 0-based epoch."""
        return self.start_epoch <= epoch and (
            self.end_epoch is None or epoch <= self.end_epoch
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a resume; nothing by default."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Args:
            state_dict: State of a strategy of the same class.

        Raises:
            ValueError: If there is a state that this strategy cannot hold.
        """
        if state_dict:
            raise ValueError(
                f'{type(self).__name__} keeps no state, got '
                f'{sorted(state_dict)}; resume with the strategy that wrote '
                'the checkpoint'
            )


class Modulation(Strategy, ABC):
    """Scale the task gradients of each encoder before they are combined.

    A modulation turns a few scalars per modality into one factor per task and
    modality. It never sees a model or a gradient.
    """

    #: Tasks whose factors are equal by construction. If they cover all tasks
    #: of a step and there is no projection, one backward pass is enough.
    shared_tasks: frozenset[Task] = frozenset()

    @abstractmethod
    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return the factor of each task gradient, tensors of shape (M,)."""

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return per-modality sums over this batch's samples, shape (M,).

        They are added over micro-batches and ranks and come back, divided by
        the number of samples, in ``signals.means``.
        """
        del task_losses
        return {}

    def selects(self, parameter: Parameter) -> bool:
        """Return whether this encoder parameter is scaled at all."""
        del parameter
        return True

    def finalize(
        self, gradients: dict[str, list[Tensor]], signals: BatchSignals
    ) -> None:
        """Change the combined encoder gradients in place, e.g. add noise.

        Args:
            gradients: Combined gradients of the selected parameters, one list
                per modality, after the reduction over ranks.
            signals: The signals of this step.
        """


class Projection(Strategy, ABC):
    """Resolve conflicts between the two modulated task gradients."""

    @abstractmethod
    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Fold the projection into the factors of the raw gradients.

        Args:
            products: Inner products of the raw gradients, ``(M,)`` each.
            coefficients: Factors that the modulation chose, ``(M,)`` each.
            signals: Ratios of this step.

        Returns:
            The factors of the raw gradients after projection, and a boolean
            tensor ``(M,)`` that is true where the tasks conflict.
        """


def identity_coefficients(signals: BatchSignals) -> Coefficients:
    """Return factors of one for every task and modality."""
    ones = torch.ones_like(signals.semantic_ratio)
    return Coefficients(ones, ones, ones)
