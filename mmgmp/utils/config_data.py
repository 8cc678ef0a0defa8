"""A config as data: JSON text that gives back the same dicts and tuples.

MMEngine stores a config in a checkpoint as Python source, which can only be
used by running it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: Key in the ``meta`` of a checkpoint.
CONFIG_KEY = 'config_json'
_TUPLE = '__tuple__'
# Bounds far above any real config; parsing beyond them takes much memory.
_MAX_LENGTH = 1 << 22
_MAX_DEPTH = 50


def config_to_text(config: Mapping[str, Any]) -> str:
    """Write a config as JSON; the order of its keys is kept.

    Args:
        config: Dicts with string keys, lists, tuples, strings, numbers,
            booleans and None. A tuple becomes ``{'__tuple__': [...]}``.

    Raises:
        TypeError: If it holds anything else; the message says where.

    Example:
        >>> config_to_text({'a': (1, 2.5)})
        '{"a": {"__tuple__": [1, 2.5]}}'
    """
    return json.dumps(_to_json(config, ''))


def config_from_text(text: str) -> dict[str, Any]:
    """Read what :func:`config_to_text` wrote.

    Args:
        text: JSON object.

    Raises:
        ValueError: If it is none.

    Example:
        >>> config_from_text('{"a": {"__tuple__": [1, 2.5]}}')
        {'a': (1, 2.5)}
    """
    if len(text) > _MAX_LENGTH:
        raise ValueError(
            f'must have at most {_MAX_LENGTH} characters, got {len(text)}'
        )
    try:
        config = json.loads(text, object_hook=_from_json)
    except (RecursionError, TypeError, ValueError) as error:
        raise ValueError(f'must be JSON, got {error!r}') from error
    if not isinstance(config, dict):
        raise ValueError(f'must be an object, got {type(config).__name__}')
    _check_depth(config, _MAX_DEPTH)
    return config


def _to_json(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == _TUPLE:
                raise TypeError(f'{place or "config"} has the key {key!r}')
        return {k: _to_json(v, f'{place}.{k}') for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_to_json(v, f'{place}[{i}]') for i, v in enumerate(value)]
        return items if isinstance(value, list) else {_TUPLE: items}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f'{place.lstrip(".")} is a {type(value).__name__}')


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, (dict, list, tuple)):
        if not left:
            raise ValueError(f'must be nested at most {_MAX_DEPTH} deep')
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, left - 1)


def _from_json(value: dict[str, Any]) -> Any:
    return tuple(value[_TUPLE]) if set(value) == {_TUPLE} else value
