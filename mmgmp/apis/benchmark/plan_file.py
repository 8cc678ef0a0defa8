"""Read the file of a plan, and check the names in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.utils.text_files import read_yaml

_DATA = ('.yml', '.yaml', '.json')
#: What a name is followed by, at most, where it becomes that of a file.
_LONGEST_ADDITION = '..json.draft'
#: Bytes that the name of a file may have on all usual file systems.
_LONGEST_NAME = 255


def read_plan_file(path: Path) -> dict[str, Any]:
    """Read a plan and those that it inherits from through ``_base_``.

    YAML and JSON are data: they can run nothing and inherit from data only.
    A Python plan is code, which MMEngine runs.

    Args:
        path: The file.

    Returns:
        The content, merged.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If it is no mapping, or is no plain data.
    """
    if path.suffix == '.py':
        found: dict[str, Any] = Config.fromfile(
            path, import_custom_modules=False
        ).to_dict()
        return found
    return _read_data(path, ())


def _read_data(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    if path.suffix not in _DATA:
        raise ValueError(
            f'{children[-1] if children else "PLAN"} must be, and inherit '
            f'from, files that end in {", ".join(_DATA)}, got {path}; a plan '
            'that needs Python is a Python file itself'
        )
    if path.resolve() in [child.resolve() for child in children]:
        raise ValueError(f'{path} inherits from itself; correct its _base_')
    own = read_yaml(path)
    if not isinstance(own, Mapping):
        raise ValueError(
            f'{path} must be a mapping of keys, got {type(own).__name__}; see '
            'docs/benchmark.md'
        )
    bases = own.get('_base_', [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(
        isinstance(base, str) for base in bases
    ):
        raise ValueError(
            f'_base_ of {path} must be a path or a list of them, got {bases!r}'
        )
    merged: dict[str, Any] = {}
    for base in bases:
        found = _read_data(path.parent / base, (*children, path))
        twice = sorted(map(str, set(found) & set(merged)))
        if twice:
            raise ValueError(
                f'_base_ of {path} must be files with different keys, got '
                f'{twice} in several; set them in one'
            )
        merged.update(found)
    return merge(merged, {k: v for k, v in own.items() if k != '_base_'})


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as MMEngine merges configs.

    Args:
        base: Inherited keys.
        own: Keys that come over them; ``_delete_`` drops what is inherited.

    Returns:
        The merged keys.

    Example:
        >>> merge({'a': {'b': 1, 'c': 2}}, {'a': {'b': 3}})
        {'a': {'b': 3, 'c': 2}}
    """
    merged = {} if own.get('_delete_') is True else dict(base)
    for key, value in own.items():
        if key == '_delete_':
            continue
        inherited = merged.get(key)
        if isinstance(value, Mapping):
            old = inherited if isinstance(inherited, Mapping) else {}
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def slug(text: str) -> str:
    """Turn a name into one that suits a file.

    Example:
        >>> slug('SimMMDG + GMP, V+A')
        'SimMMDG-+-GMP-V+A'
    """
    return re.sub(r'[^\w.+=-]+', '-', text).strip('-')


def check_name(key: str, name: str, is_file: bool = True) -> str:
    """Check a name that is shown, and that files are named after.

    Args:
        key: What it names, for the message.
        name: The name.
        is_file: Whether files are named after it.

    Returns:
        The name.

    Raises:
        ValueError: If it leads to another folder, is too long or empty, or
            holds what cannot be printed.

    Example:
        >>> check_name('methods', 'w/o k')
        'w/o k'
        >>> check_name('methods', '..')
        Traceback (most recent call last):
        ValueError: methods must have names with a letter or digit and \
without the signs of a path, as files are named after them, got '..'; rename it
    """
    if not name.strip() or not name.isprintable():
        raise ValueError(
            f'{key} must have names of one line that can be printed, got '
            f'{name!r:.200}; rename it'
        )
    if not is_file:
        return name
    is_path = '\\' in name or {'', '.', '..'} & set(name.split('/'))
    if is_path or not re.search(r'\w', slug(name)):
        raise ValueError(
            f'{key} must have names with a letter or digit and without the '
            f'signs of a path, as files are named after them, got '
            f'{name!r:.200}; rename it'
        )
    check_length(key, slug(name))
    return name


def check_length(key: str, name: str) -> None:
    """Check that a file can have a name.

    Args:
        key: What it is made of, for the message.
        name: Name of the file.

    Raises:
        ValueError: If it is too long.
    """
    longest = _LONGEST_NAME - len(_LONGEST_ADDITION)
    size = len(os.fsencode(name))
    if size > longest:
        raise ValueError(
            f'{key} must have names of at most {longest} bytes, which files '
            f'are named after, got {size} bytes: {name[:40]!r}...; shorten it'
        )
