"""Modulations with one factor per encoder."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import Modulation
from mmgmp.structures import BatchSignals, Coefficients, Task
from mmgmp.utils.checks import check_choice

_APPLY_TO = ('total', 'cls')


class EncoderModulation(Modulation):
    """Scale an encoder's gradient by one factor, blind to the tasks.

    The methods of this family were defined on the one gradient that their
    models had.

    Args:
        apply_to: ``'total'`` scales the encoder's total gradient in one
            backward pass; ``'cls'`` scales the gradient of the
            classification losses only [choice].
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If ``apply_to`` is unknown or the window is empty.
    """

    def __init__(
        self,
        apply_to: str = 'total',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        check_choice(
            'apply_to',
            apply_to,
            _APPLY_TO,
            'set optim_wrapper.modulation.apply_to',
        )
        self.apply_to = apply_to
        if apply_to == 'total':
            self.shared_tasks = frozenset(Task)

    @abstractmethod
    def factors(self, signals: BatchSignals) -> Tensor:
        """Return one factor per encoder, ``(M,)``; called once a step."""

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return the factors for the tasks that they act on."""
        factor = self.factors(signals)
        if self.apply_to == 'total':
            return Coefficients(factor, factor, factor)
        ones = torch.ones_like(factor)
        return Coefficients(factor, ones, ones)
