"""Sums over the samples of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from mmgmp.structures import Task

_MEAN = 'mean_'
_ABSENT = 'absent'

K = TypeVar('K')


@dataclass
class Sums:
    """What becomes ratios and means at the end of a window.

    Args:
        count: Number of samples, ``(1,)``.
        absent: Number of samples that lack a modality, ``(M,)``; None counts
            as zeros.
        confidences: Sums of the confidences, ``(M,)`` by task.
        observed: Sums of what the modulation observes, by name.

    Example:
        >>> import torch
        >>> sums = Sums(torch.ones(1), {Task.DOMAIN: torch.tensor([.5, .2])})
        >>> (sums + sums).flat()
        {'': tensor([2.]), 'domain': tensor([1.0000, 0.4000])}
    """

    count: Tensor
    confidences: dict[Task, Tensor] = field(default_factory=dict)
    observed: dict[str, Tensor] = field(default_factory=dict)
    absent: Tensor | None = None

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            _added(self.confidences, other.confidences),
            _added(self.observed, other.observed),
            _added(self._absent(), other._absent()).get(_ABSENT),
        )

    def _absent(self) -> dict[str, Tensor]:
        return {} if self.absent is None else {_ABSENT: self.absent}

    def flat(self) -> dict[str, Tensor]:
        """Return all by one name each, as checkpoints and ranks share them."""
        return {
            '': self.count,
            **self._absent(),
            **{task.value: x for task, x in self.confidences.items()},
            **{_MEAN + name: x for name, x in self.observed.items()},
        }

    @classmethod
    def from_flat(cls, values: Mapping[str, Tensor]) -> Sums:
        """Sort what :meth:`flat` returned.

        Args:
            values: Sums by name.
        """
        words = {task.value for task in Task}
        return cls(
            values[''],
            {Task(name): x for name, x in values.items() if name in words},
            {
                name.removeprefix(_MEAN): x
                for name, x in values.items()
                if name.startswith(_MEAN)
            },
            values.get(_ABSENT),
        )


def _added(
    first: Mapping[K, Tensor], second: Mapping[K, Tensor]
) -> dict[K, Tensor]:
    """Add by key; one that only one side has is kept."""
    total = dict(first)
    for key, value in second.items():
        total[key] = total[key] + value if key in total else value
    return total
