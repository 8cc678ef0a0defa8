"""Building a part of a strategy from what a config says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def build_part(name: str, value: Any, registry: Any, kind: type) -> Any:
    """Build a modulation or a projection.

    Args:
        name: Its key in ``optim_wrapper``.
        value: A config, an instance, or None for off.
        registry: Where its type is registered.
        kind: What it must be.

    Returns:
        The part, or None.

    Raises:
        TypeError: If it is something else.
    """
    built = (
        registry.build(dict(value)) if isinstance(value, Mapping) else value
    )
    if built is not None and not isinstance(built, kind):
        raise TypeError(
            f'{name} must be None, a config dict or a {kind.__name__}, got '
            f'{type(value).__name__}; set optim_wrapper.{name}'
        )
    return built
