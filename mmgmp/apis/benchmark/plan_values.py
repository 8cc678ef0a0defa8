"""What the values of a plan may be; every refusal names the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmgmp.utils.file_names import check_name
from mmgmp.utils.typed_values import Reader, demand, mapping, scalar

#: More runs than any plan has; a mutilated number may ask for billions.
_MOST = 10_000


def count(least: int) -> Reader:
    """Return a reader of a number that tells how much is done."""

    def read(key: str, value: Any) -> int:
        is_met = type(value) is int and least <= value <= _MOST
        rule = f'be >= {least} and at most {_MOST}'
        advice = 'the published protocol has 10 trials and 2 reruns'
        demand(is_met, key, rule, value, advice)
        return int(value)

    return read


def shown(key: str, value: Any) -> str:
    """Return a text of one line that no file is named after."""
    return check_name(key, scalar(key, value), is_file=False)


def words(key: str, value: Any) -> dict[str, str]:
    """Return a mapping of names to words or numbers."""
    return {
        shown(key, name): scalar(f'{key}.{name}', word)
        for name, word in mapping(key, value).items()
    }


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
