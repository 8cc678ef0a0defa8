"""What the values of a plan may be; every refusal names the key."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

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


def check_keys(key: str, value: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a misspelt key."""
    unknown = sorted(map(str, set(value) - known))
    rule = f'have no keys but {sorted(known)}'
    demand(not unknown, key, rule, unknown, 'correct the spelling')


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


def words(key: str, value: Any) -> dict[str, str]:
    """Return a mapping of names to words or numbers."""
    return {
        check_name(key, name, is_file=False): scalar(f'{key}.{name}', word)
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


def span(key: str, value: Any) -> Any:
    """Return a search range or a list of choices."""
    if isinstance(value, Mapping):
        choices = value.get('choices')
        is_met = isinstance(choices, list) and choices and len(value) == 1
    else:
        is_met = (
            isinstance(value, list)
            and [type(end) in (int, float) for end in value] == [True, True]
            and all(abs(end) < math.inf for end in value)
            and value[0] <= value[1]
        )
    demand(bool(is_met), key, "be [low, high] or {'choices': [...]}", value)
    return value


def count(key: str, value: Any, least: int) -> int:
    """Return a number that tells how much is done."""
    is_met = type(value) is int and least <= value <= _MOST
    rule = f'be >= {least} and at most {_MOST}'
    advice = 'the published protocol has 10 trials and 2 reruns'
    demand(is_met, key, rule, value, advice)
    return int(value)


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
        >>> check_name('methods', 'w/o k')
        'w/o k'
        >>> check_name('methods', '..')
        Traceback (most recent call last):
        ValueError: methods must have names with a letter or digit and \
without the signs of a path, which files are named after, got '..'; rename it
    """
    rule = 'have names of one line that can be printed'
    is_shown = bool(name.strip()) and name.isprintable()
    demand(is_shown, key, rule, name, 'rename it')
    if is_file:
        is_path = '\\' in name or {'', '.', '..'} & set(name.split('/'))
        rule = (
            'have names with a letter or digit and without the signs of a '
            'path, which files are named after'
        )
        is_met = not is_path and bool(re.search(r'\w', slug(name)))
        demand(is_met, key, rule, name, 'rename it')
        check_length(key, slug(name))
    return name


def check_length(key: str, name: str) -> None:
    """Refuse a name that is too long for a file."""
    size = len(os.fsencode(name))
    rule = (
        f'have names of at most {_LONGEST_NAME} bytes, which files are named '
        'after'
    )
    is_met = size <= _LONGEST_NAME
    demand(is_met, key, rule, f'{size} bytes: {name[:40]}...', 'shorten it')
