"""What the values of a plan may be; every refusal names the key."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from mmgmp.utils.checks import check_choice

#: Reads the value of a key: takes both, returns the typed value.
Reader = Callable[[str, Any], Any]
#: Default of a key that must be there.
NEEDED = object()
#: More runs than any plan has; a mutilated number may ask for billions.
_MOST = 10_000
#: Bytes of a file's name on all usual systems, but for what follows it.
_LONGEST_NAME = 255 - len('..json.draft')


def demand(
    is_met: bool, key: str, rule: str, value: Any, advice: str = ''
) -> None:
    """Refuse a value that breaks a rule."""
    if not is_met:
        advice = advice or 'see docs/benchmark.md'
        raise ValueError(f'{key} must {rule}, got {value!r:.200}; {advice}')


def key(read: Reader, default: Any = NEEDED) -> dict[str, Any]:
    """Say how a field of a dataclass is read from the key of its name."""
    return {'read': read, 'default': default}


def read_keys(place: str, value: Any, kind: type) -> dict[str, Any]:
    """Read the fields of a dataclass that say how from a mapping."""
    keys = {f.name: f for f in fields(kind) if f.metadata}
    found = mapping(place or 'the plan', value)
    check_keys(place or 'the plan', found, keys)
    prefix = f'{place}.' if place else ''
    for name, spec in keys.items():
        default = spec.default
        if default is MISSING:
            default = spec.metadata['default']
        is_there = default is not NEEDED or bool(found.get(name))
        demand(is_there, f'{prefix}{name}', 'be in the plan', found.get(name))
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


def choice(*known: Any) -> Reader:
    """Return a reader of one of some values."""
    return lambda key, value: check_choice(key, value, known)


def optional(read: Reader) -> Reader:
    """Return a reader that takes None, too."""
    return lambda key, value: None if value is None else read(key, value)


def count(least: int) -> Reader:
    """Return a reader of a number that tells how much is done."""

    def read(key: str, value: Any) -> int:
        is_met = type(value) is int and least <= value <= _MOST
        rule = f'be >= {least} and at most {_MOST}'
        advice = 'the published protocol has 10 trials and 2 reruns'
        demand(is_met, key, rule, value, advice)
        return int(value)

    return read


def scalar(key: str, value: Any) -> str:
    """Return a word or number as text, None as an empty one."""
    text = '' if value is None else str(value)
    is_word = value is None or isinstance(value, (str, int, float))
    rule = 'be a word or number that can be printed'
    demand(is_word and text.isprintable(), key, rule, value)
    return text


def shown(key: str, value: Any) -> str:
    """Return a text of one line that no file is named after."""
    return check_name(key, scalar(key, value), is_file=False)


def words(key: str, value: Any) -> dict[str, str]:
    """Return a mapping of names to words or numbers."""
    return {
        shown(key, name): scalar(f'{key}.{name}', word)
        for name, word in mapping(key, value).items()
    }


def texts(key: str, value: Any) -> tuple[str, ...]:
    """Return a list of different names."""
    items = value if isinstance(value, (list, tuple)) else [None]
    names = [str(n) for n in items if isinstance(n, (str, int, float))]
    is_met = len(set(names)) == len(items)
    demand(is_met, key, 'be a list of different names', value)
    return tuple(names)


def seeds(key: str, value: Any) -> tuple[int, ...]:
    """Return a list of different seeds."""
    items = value if isinstance(value, (list, tuple)) else ()
    found = tuple(s for s in items if type(s) is int and s >= 0)
    is_met = 0 < len(set(found)) == len(items)
    rule = 'be a list of different integers >= 0'
    demand(is_met, key, rule, value, 'for example [0, 1, 2]')
    return found


def space(key: str, value: Any) -> dict[str, Any]:
    """Return ranges, or lists of choices, by parameter."""
    spans = mapping(key, value)
    for name, span in spans.items():
        if isinstance(span, Mapping):
            choices = span.get('choices')
            is_met = isinstance(choices, list) and choices and len(span) == 1
        else:
            is_met = (
                isinstance(span, list)
                and [type(end) in (int, float) for end in span] == [True] * 2
                and -math.inf < span[0] <= span[1] < math.inf
            )
        rule = "be [low, high] or {'choices': [...]}"
        demand(bool(is_met), f'{key}.{name}', rule, span)
    return spans


def sweep(key: str, value: Any) -> tuple[dict[str, list[Any]], ...]:
    """Return grids of values by parameter."""
    is_met = isinstance(value, (list, tuple)) and all(
        isinstance(grid, Mapping)
        and grid
        and all(isinstance(v, list) and v for v in grid.values())
        and math.prod(map(len, grid.values())) <= _MOST
        for grid in value
    )
    rule = f'be a list of grids, values by parameter, of at most {_MOST} cells'
    demand(is_met, key, rule, value, 'for example [{alpha_k: [0.0, 0.5]}]')
    return tuple(mapping(key, grid) for grid in value)


def slug(text: str) -> str:
    """Turn a name into one that suits a file.

    Example:
        >>> slug('SimMMDG + GMP, V+A')
        'SimMMDG-+-GMP-V+A'
    """
    return re.sub(r'[^\w.+=-]+', '-', text).strip('-')


def check_name(key: str, name: str, is_file: bool = True) -> str:
    """Return a name that is shown, and that files may be named after.

    Example:
        >>> check_name('methods', '..')
        Traceback (most recent call last):
        ValueError: methods must have names with a letter or digit and \
without the signs of a path, got '..'; files are named after them, so rename it
    """
    rule = 'have names of one line that can be printed'
    is_met = bool(name.strip()) and name.isprintable()
    demand(is_met, key, rule, name, 'rename it')
    if is_file:
        is_path = '\\' in name or {'', '.', '..'} & set(name.split('/'))
        rule = (
            'have names with a letter or digit and without the signs of a path'
        )
        advice = 'files are named after them, so rename it'
        is_met = not is_path and bool(re.search(r'\w', slug(name)))
        demand(is_met, key, rule, name, advice)
        check_length(key, slug(name))
    return name


def check_length(key: str, name: str) -> None:
    """Refuse a name that is too long for a file."""
    size = len(os.fsencode(name))
    rule = f'have names of at most {_LONGEST_NAME} bytes'
    advice = f'files are named after them, so shorten {name[:40]!r}...'
    demand(size <= _LONGEST_NAME, key, rule, size, advice)
