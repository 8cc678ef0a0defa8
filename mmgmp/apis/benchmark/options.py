"""Config keys as a plan writes them, and as the stock scripts read them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from mmengine.config import DictAction

Overrides = dict[str, Any]


def flatten(value: Mapping[str, Any], prefix: str = '') -> Overrides:
    """Write nested mappings as dotted keys.

    Args:
        value: Config keys, nested or dotted or both.
        prefix: Stands before every key.

    Returns:
        Values by dotted key.

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


def spell(value: Any) -> str:
    """Write a value as MMEngine's ``DictAction`` reads it.

    Args:
        value: Number, word, None, or a list of these.

    Returns:
        The text after the equals sign.

    Example:
        >>> spell([0.5, ['human', 'cartoon'], None])
        '[0.5,[human,cartoon],None]'
    """
    if isinstance(value, (list, tuple)):
        return f'[{",".join(spell(item) for item in value)}]'
    return str(value)


def _as_read(key: str, value: Any) -> Any:
    """Return the value as the command line gives it, if that is the same."""
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    wanted = list(value) if isinstance(value, tuple) else value
    try:
        if not _is_plain(value):
            raise ValueError(f'{value!r:.200} has signs of a list in a word')
        words = ['--cfg-options', f'key={spell(value)}']
        found = parser.parse_args(words).cfg_options['key']
    except (AssertionError, IndexError, ValueError):  # unbalanced brackets
        found = None
    # YAML reads 1e-4 as a word.
    is_number = isinstance(value, str) and isinstance(found, (int, float))
    if is_number or (found == wanted and type(found) is type(wanted)):
        return found
    raise ValueError(
        f'{key} must be a number, a word, None or a list of these, as the '
        f'stock scripts read it from their command line, got {value!r}; '
        'write another config that sets it'
    )


def _is_plain(value: Any, signs: str = ',') -> bool:
    """Whether words are free of what makes MMEngine's reader run in circles.

    Example:
        >>> _is_plain('a[0]'), _is_plain(['a]', '[b'])
        (True, False)
    """
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item, ',()[]') for item in value)
    return not (isinstance(value, str) and set(signs) & set(value))
