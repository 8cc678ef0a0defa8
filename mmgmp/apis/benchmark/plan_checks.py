"""What the values of a plan may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmgmp.apis.benchmark.plan_file import check_name

#: More runs than any plan has; a mutilated number may ask for billions.
_MOST = 10_000


def mapping(key: str, value: Any) -> dict[str, Any]:
    """Return a mapping with texts as keys.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, Mapping):
        raise ValueError(
            f'{key} must be a mapping, got {value!r:.200}; see '
            'docs/benchmark.md'
        )
    return {str(name): item for name, item in value.items()}


def scalar(key: str, value: Any) -> str:
    """Return a word or number as text, None as an empty one.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.

    Raises:
        ValueError: If it is something else.
    """
    if value is None:
        return ''
    text = str(value)
    if not isinstance(value, (str, int, float)) or not text.isprintable():
        raise ValueError(
            f'{key} must be a word or number that can be printed, got '
            f'{value!r:.200}; see docs/benchmark.md'
        )
    return text


def shown(key: str, value: Any) -> str:
    """Return a text that is shown, but no file is named after.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.

    Raises:
        ValueError: If it is none of one line.
    """
    return check_name(key, scalar(key, value), is_file=False)


def words(key: str, raw: Mapping[str, Any]) -> dict[str, str]:
    """Return a mapping of names to words or numbers.

    Args:
        key: Name of the value, for the message.
        raw: The plan, which may go without it.

    Raises:
        ValueError: If it is something else.
    """
    return {
        shown(key, name): scalar(f'{key}.{name}', value)
        for name, value in mapping(key, raw.get(key, {})).items()
    }


def texts(key: str, value: Any) -> tuple[str, ...]:
    """Return a list of different names.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.

    Raises:
        ValueError: If it is none.
    """
    items = value if isinstance(value, (list, tuple)) else [None]
    names = [str(n) for n in items if isinstance(n, (str, int, float))]
    if len(set(names)) < len(items):
        raise ValueError(
            f'{key} must be a list of different names, got {value!r:.200}'
        )
    return tuple(names)


def check_seeds(value: Any) -> tuple[int, ...]:
    """Return the seeds.

    Args:
        value: Of the plan.

    Raises:
        ValueError: If they are no different integers >= 0.
    """
    seeds = tuple(value) if isinstance(value, (list, tuple)) else ()
    is_valid = seeds and all(type(s) is int and s >= 0 for s in seeds)
    if not is_valid or len(set(seeds)) < len(seeds):
        raise ValueError(
            'seeds must be a list of different integers >= 0, got '
            f'{value!r:.200}; for example [0, 1, 2]'
        )
    return seeds


def check_span(key: str, span: Any) -> None:
    """Check a search range.

    Args:
        key: Name of the value, for the message.
        span: Of the plan.

    Raises:
        ValueError: If it is neither a range nor choices.
    """
    if isinstance(span, Mapping):
        choices = span.get('choices')
        if isinstance(choices, list) and choices and len(span) == 1:
            return
    elif isinstance(span, list) and len(span) == 2:
        are_numbers = all(
            type(end) in (int, float) and math.isfinite(end) for end in span
        )
        if are_numbers and span[0] <= span[1]:
            return
    raise ValueError(
        f"{key} must be [low, high] or {{'choices': [...]}}, got {span!r:.200}"
    )


def check_count(key: str, value: Any, least: int) -> None:
    """Check a number that tells how much is done.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.
        least: Smallest that it may be.

    Raises:
        ValueError: If it is no whole number, or one that no plan has.
    """
    if type(value) is not int or not least <= value <= _MOST:
        raise ValueError(
            f'{key} must be >= {least} and at most {_MOST}, got '
            f'{value!r:.200}; the published protocol has 10 trials and 2 '
            'reruns'
        )


def check_sweep(key: str, value: Any) -> tuple[dict[str, list[Any]], ...]:
    """Return the grids of a sweep.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.

    Raises:
        ValueError: If one is no mapping of parameters to lists of values.
    """
    are_grids = isinstance(value, (list, tuple)) and all(
        isinstance(grid, Mapping)
        and grid
        and all(isinstance(v, list) and v for v in grid.values())
        and math.prod(map(len, grid.values())) <= _MOST
        for grid in value
    )
    if not are_grids:
        raise ValueError(
            f'{key} must be a list of grids, values by parameter, of at most '
            f'{_MOST} cells each, got {value!r:.200}; for example '
            '[{alpha_k: [0.0, 0.5]}]'
        )
    return tuple(mapping(key, grid) for grid in value)


def check_needed(raw: Mapping[str, Any]) -> None:
    """Check that the plan has what no plan can do without.

    Args:
        raw: The plan.

    Raises:
        ValueError: If a key is missing.
    """
    for key in ('corpus', 'methods', 'targets'):
        if not raw.get(key):
            raise ValueError(
                f'{key} must be in the plan, got only {sorted(raw)}; see '
                'configs/plans for complete ones'
            )


def check_keys(
    where: str, value: Mapping[str, Any], known: tuple[str, ...]
) -> None:
    """Check that no key is misspelt.

    Args:
        where: Name of the mapping.
        value: The mapping.
        known: Keys that it may have.

    Raises:
        ValueError: If it has another one.
    """
    unknown = sorted(map(str, set(value) - set(known)))
    if unknown:
        raise ValueError(
            f'{where} must have no keys but {sorted(known)}, got {unknown}; '
            'correct the spelling'
        )


def check_choice(key: str, value: Any, known: tuple[Any, ...]) -> None:
    """Check that a value is one of some.

    Args:
        key: Name of the value, for the message.
        value: Of the plan.
        known: Values that it may have.

    Raises:
        ValueError: If it is another one.
    """
    if value not in known:
        raise ValueError(
            f'{key} must be one of {list(known)}, got {value!r:.200}'
        )
