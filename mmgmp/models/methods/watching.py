"""Methods that watch a model without being part of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from torch import nn
from torch.nn import Parameter


@runtime_checkable
class WatchingMethod(Protocol):
    """A method with parameters that gradient clipping must leave alone."""

    def unclipped_parameters(self) -> list[Parameter]:
        """Return them; see ``TaskLosses.unclipped``."""


def unclipped_parameters(methods: Iterable[nn.Module]) -> list[Parameter]:
    """Collect what clipping leaves out.

    Args:
        methods: The MMDG methods of a model.

    Example:
        >>> unclipped_parameters([nn.Linear(1, 1)])
        []
    """
    return [
        parameter
        for method in methods
        if isinstance(method, WatchingMethod)
        for parameter in method.unclipped_parameters()
    ]
