"""Read the file of a plan, and those that it inherits from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.utils.text_files import read_yaml
from mmgmp.utils.typed_values import demand, mapping

_DATA = ('.yml', '.yaml', '.json')


def read_plan_file(path: Path) -> dict[str, Any]:
    """Read a plan and those that it inherits from through ``_base_``.

    YAML and JSON are data: they can run nothing and inherit from data only.
    A Python plan is code, which MMEngine runs.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If it is no mapping, or is no plain data.
    """
    if path.suffix != '.py':
        return _read_data(path, ())
    config = Config.fromfile(path, import_custom_modules=False)
    found: dict[str, Any] = config.to_dict()
    return found


def _read_data(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    if path.suffix not in _DATA:
        raise ValueError(
            f'{children[-1] if children else "PLAN"} must be, and inherit '
            f'from, files that end in {", ".join(_DATA)}, got {path}; a plan '
            'that needs Python is a Python file itself'
        )
    if path.resolve() in [child.resolve() for child in children]:
        raise ValueError(f'{path} inherits from itself; correct its _base_')
    own = mapping(str(path), read_yaml(path))
    bases = own.get('_base_', [])
    bases = bases if isinstance(bases, list) else [bases]
    are_paths = all(isinstance(base, str) for base in bases)
    place, rule = f'_base_ of {path}', 'be a path or a list of them'
    demand(are_paths, place, rule, bases)
    merged: dict[str, Any] = {}
    for base in bases:
        found = _read_data(path.parent / base, (*children, path))
        twice = sorted(set(found) & set(merged))
        rule = f'be files with different keys, not with {twice} in several'
        demand(not twice, place, rule, bases, 'set them in one')
        merged.update(found)
    return _merge(merged, {k: v for k, v in own.items() if k != '_base_'})


def _merge(base: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as MMEngine does; ``_delete_`` drops what is inherited.

    Example:
        >>> _merge({'a': {'b': 1, 'c': 2}}, {'a': {'b': 3}})
        {'a': {'b': 3, 'c': 2}}
    """
    is_kept = isinstance(base, Mapping) and own.get('_delete_') is not True
    merged = dict(base) if is_kept else {}
    for key, value in own.items():
        if isinstance(value, Mapping):
            merged[key] = _merge(merged.get(key), value)
        elif key != '_delete_':
            merged[key] = value
    return merged
