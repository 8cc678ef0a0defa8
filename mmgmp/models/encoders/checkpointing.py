"""Recomputed stages that count every batch once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import nn


def checkpoint_contexts(
    modules: Sequence[nn.Module],
) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Return contexts of the forward pass and of its repetitions.

    Args:
        modules: What is computed again.
    """
    return nullcontext(), _StatisticsKept(modules)


class _StatisticsKept(AbstractContextManager):
    """Leave running statistics alone while a stage is computed again.

    Every backward pass repeats the forward pass; batch norms would count the
    batch once more each time.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._norms: list[Any] = [
            norm
            for module in modules
            for norm in module.modules()
            if isinstance(norm, nn.modules.batchnorm._BatchNorm)
            and norm.training
            and norm.track_running_stats
        ]

    def __enter__(self) -> None:
        self._kept = [
            (norm.momentum, norm.num_batches_tracked.clone())
            for norm in self._norms
        ]
        for norm in self._norms:
            norm.momentum = 0.0

    def __exit__(self, *error: object) -> None:
        for norm, (momentum, count) in zip(
            self._norms, self._kept, strict=True
        ):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
