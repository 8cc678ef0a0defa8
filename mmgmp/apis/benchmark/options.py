"""Config keys as a plan writes them, and as the stock scripts read them."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from mmengine.config import DictAction

Overrides = dict[str, Any]
#: Stands for the tested checkpoint of another row of a plan.
BEST = re.compile(r'\{best:([^{}]*)\}')


def flatten(value: Mapping[str, Any], prefix: str = '') -> Overrides:
    """Write nested mappings as dotted keys.

    Raises:
        ValueError: If a value cannot be handed to the stock scripts.

    Example:
        >>> flatten({'model': {'domain_head': None}, 'a.b': [1, 2]})
        {'model.domain_head': None, 'a.b': [1, 2]}
    """
    flat: Overrides = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat.update(flatten(item, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = _as_read(f'{prefix}{key}', item)
    return flat


def cfg_options(overrides: Overrides) -> list[str]:
    """Write overrides as words of a command line.

    Example:
        >>> cfg_options({'a.b': [0.5, ['human', 'cartoon'], None], 'c': True})
        ['--cfg-options', 'a.b=[0.5,[human,cartoon],None]', 'c=True']
    """
    words = [f'{key}={_spell(value)}' for key, value in overrides.items()]
    return ['--cfg-options', *words] if words else []


def _spell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f'[{",".join(map(_spell, value))}]'
    return str(value)


def _as_read(key: str, value: Any) -> Any:
    """Return the value as the command line gives it, if that is the same."""
    if isinstance(value, str) and BEST.fullmatch(value):
        return value  # a path takes its place
    wanted = list(value) if isinstance(value, tuple) else value
    found = None
    if _is_plain(value):
        parser = ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=DictAction)
        words = cfg_options({'key': value})
        try:
            found = parser.parse_args(words).cfg_options['key']
        except (AssertionError, IndexError, ValueError):  # odd brackets
            found = None
    # YAML reads 1e-4 as a word.
    is_number = isinstance(value, str) and isinstance(found, (int, float))
    if not is_number and (found != wanted or type(found) is not type(wanted)):
        raise ValueError(
            f'{key} must be a number, a word, None or a list of these, as the '
            f'stock scripts read it from their command line, got {value!r}; '
            'write another config that sets it'
        )
    return found


def _is_plain(value: Any, signs: str = ',') -> bool:
    """Whether words are free of what makes MMEngine's reader run in circles.

    Example:
        >>> _is_plain('a[0]'), _is_plain(['a]', '[b'])
        (True, False)
    """
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item, ',()[]') for item in value)
    if isinstance(value, str):
        return not set(signs) & set(value)
    return value is None or isinstance(value, (int, float))
