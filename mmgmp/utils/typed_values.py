"""Typed values from a mapping that others wrote, such as a YAML file.

A dataclass says, field by field, which reader checks the value of a key; every
refusal names the key as its author wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from mmgmp.utils.checks import check_choice
from mmgmp.utils.plain_text import short_repr

#: Reads the value of a key: takes both, returns the typed value.
Reader = Callable[[str, Any], Any]
#: Default of a key that must be there.
NEEDED = object()


def demand(
    is_met: bool, key: str, rule: str, value: Any, advice: str = ''
) -> None:
    """Refuse a value that breaks a rule."""
    if not is_met:
        advice = advice or f'correct {key}'
        raise ValueError(
            f'{key} must {rule}, got {short_repr(value)}; {advice}'
        )


def key(read: Reader, default: Any = NEEDED) -> dict[str, Any]:
    """Say how a field of a dataclass is read from the key of its name."""
    return {'read': read, 'default': default}


def read_keys(place: str, value: Any, kind: type) -> dict[str, Any]:
    """Read the fields of a dataclass that say how from a mapping.

    Args:
        place: Where the mapping stands, for messages; ``''`` is the top.
        value: The mapping.
        kind: The dataclass.

    Returns:
        Its arguments by name.

    Raises:
        ValueError: If a key is unknown or missing, or its reader refuses.

    Example:
        >>> from dataclasses import dataclass, field
        >>> @dataclass
        ... class Plan:
        ...     keep: str = field(metadata=key(choice('best', 'all'), 'best'))
        >>> read_keys('', {}, Plan), read_keys('', {'keep': 'all'}, Plan)
        ({'keep': 'best'}, {'keep': 'all'})
    """
    keys = {f.name: f for f in fields(kind) if f.metadata}
    whole = place or f'the {kind.__name__.lower()}'
    found = mapping(whole, value)
    check_keys(whole, found, keys)
    prefix = f'{place}.' if place else ''
    for name, spec in keys.items():
        default = spec.default
        if default is MISSING:
            default = spec.metadata['default']
        is_met = default is not NEEDED or bool(found.get(name))
        demand(is_met, f'{prefix}{name}', f'be in {whole}', found.get(name))
        item = found.get(name, default)
        found[name] = spec.metadata['read'](f'{prefix}{name}', item)
    return found


def read_as(kind: type) -> Reader:
    """Return a reader of a mapping with the fields of a dataclass."""
    return lambda place, value: kind(**read_keys(place, value, kind))


def check_keys(
    place: str, value: Mapping[str, Any], known: Iterable[str]
) -> None:
    """Refuse a misspelt key."""
    unknown = sorted(set(value).difference(known))
    rule = f'have no keys but {sorted(known)}'
    demand(not unknown, place, rule, unknown, 'correct the spelling')


def mapping(key: str, value: Any) -> dict[str, Any]:
    """Return a mapping with texts as keys."""
    demand(isinstance(value, Mapping), key, 'be a mapping', value)
    return {str(name): item for name, item in value.items()}


def scalar(key: str, value: Any) -> str:
    """Return a word or number as text, None as an empty one."""
    text = '' if value is None else str(value)
    is_word = value is None or isinstance(value, (str, int, float))
    rule = 'be a word or number that can be printed'
    demand(is_word and text.isprintable(), key, rule, value)
    return text


def texts(key: str, value: Any) -> tuple[str, ...]:
    """Return a list of different names."""
    items = value if isinstance(value, (list, tuple)) else [None]
    names = [str(n) for n in items if isinstance(n, (str, int, float))]
    is_met = len(set(names)) == len(items)
    demand(is_met, key, 'be a list of different names', value)
    return tuple(names)


def choice(*known: Any) -> Reader:
    """Return a reader of one of some values."""
    return lambda key, value: check_choice(key, value, known)


def optional(read: Reader) -> Reader:
    """Return a reader that takes None, too."""
    return lambda key, value: None if value is None else read(key, value)
