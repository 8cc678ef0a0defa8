"""Refusals of arguments that many classes share."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

T = TypeVar('T')


def check_choice(
    name: str, value: T, known: Collection[T], advice: str = ''
) -> T:
    """Refuse a value that is none of the known ones.

    Args:
        name: The argument, as the user knows it.
        value: What came.
        known: The allowed values, in the order to show.
        advice: What to do; ``set <name>`` by default.

    Returns:
        The value.

    Raises:
        ValueError: If it is unknown.

    Example:
        >>> check_choice('scope', 'global', ('modality', 'global'))
        'global'
        >>> check_choice('scope', 'all', ('modality', 'global'))
        Traceback (most recent call last):
            ...
        ValueError: scope must be one of ['modality', 'global'], got 'all'; \
set scope
    """
    # A list and not a set: a value from a config need not be hashable.
    if value not in list(known):
        raise ValueError(
            f'{name} must be one of {list(known)}, got {value!r}; '
            f'{advice or f"set {name}"}'
        )
    return value
