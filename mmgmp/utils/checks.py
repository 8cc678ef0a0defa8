"""Refusals of arguments that many classes share."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from mmgmp.utils.plain_text import short_repr

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
        raise ValueError(choice_text(name, value, known, advice))
    return value


def choice_text(
    name: str, value: object, known: Collection[object], advice: str = ''
) -> str:
    """Say that a value is none of the known ones, for those who collect.

    Args:
        name: As in :func:`check_choice`.
        value: As in :func:`check_choice`.
        known: As in :func:`check_choice`.
        advice: As in :func:`check_choice`.

    Example:
        >>> choice_text('domain', 'moon', ('here',), 'correct it')
        "domain must be one of ['here'], got 'moon'; correct it"
    """
    return (
        f'{name} must be one of {list(known)}, got {short_repr(value)}; '
        f'{advice or f"set {name}"}'
    )
