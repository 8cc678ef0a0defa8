"""What must hold before a plan is run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.utils.protocol import resolve_protocol


def check_cells(plan: Plan, cells: Sequence[CellFiles], resume: bool) -> None:
    """Refuse what would give wrong results or start over unasked.

    Args:
        plan: The plan.
        cells: Its cells.
        resume: Whether interrupted cells may be continued.

    Raises:
        ValueError: If the work directory holds cells of other settings, or a
            parameter names a config key that is not there.
        RuntimeError: If cells were interrupted and ``resume`` is off.
    """
    stale = [path for files in cells for path in files.stale_files()]
    if stale:
        raise ValueError(
            f'the work directory {plan.work_dir} must hold cells of this '
            f'plan, got other settings in {len(stale)} files, such as '
            f'{stale[0]}; name another --work-dir, or delete them to run '
            'those cells again'
        )
    _check_protocols(plan, cells)
    _check_parameters(plan, cells)
    names = [
        files.cell.name
        for files in cells
        if files.state() is State.INTERRUPTED
    ]
    if names and not resume:
        raise RuntimeError(
            f'{len(names)} cells were interrupted or are in work elsewhere '
            f'({", ".join(names[:5])}); add --resume to continue them'
        )


@lru_cache(maxsize=256)
def _read(path: Path) -> Config:
    return Config.fromfile(path, import_custom_modules=False)


def _check_protocols(plan: Plan, cells: Sequence[CellFiles]) -> None:
    """A domain or modality that a corpus lacks would fail cell by cell."""
    seen = set()
    for files in cells:
        cell = files.cell
        group = (cell.config, cell.target, cell.modalities)
        if group in seen:
            continue
        seen.add(group)
        for stage in [None, *plan.evaluations]:
            config = copy.deepcopy(_read(cell.config))
            more = {} if stage is None else plan.evaluations[stage]
            config.merge_from_dict({**cell.overrides, **more})
            try:
                resolve_protocol(config)
            except ValueError as error:
                raise ValueError(
                    f'cell {cell.name}{f", {stage}" if stage else ""}: {error}'
                ) from error


def _check_parameters(plan: Plan, cells: Sequence[CellFiles]) -> None:
    """A misspelt key would be varied without any effect."""
    seen = set()
    for files in cells:
        cell = files.cell
        group = (cell.config, tuple(cell.settings))
        if not cell.settings or group in seen:
            continue
        seen.add(group)
        keys = {name: plan.config_key(name) for name in cell.settings}
        config = copy.deepcopy(_read(cell.config))
        config.merge_from_dict(
            {
                key: value
                for key, value in cell.overrides.items()
                if key not in keys.values()
            }
        )
        config = resolve_protocol(config)
        for name, key in keys.items():
            if not _has_place(config.to_dict(), key):
                raise ValueError(
                    f'{name} of methods.{cell.method} must set a key that '
                    f'{cell.config.name} knows, got {key!r}; correct it in '
                    'parameters'
                )


def _has_place(config: Any, key: str) -> bool:
    """Whether the mapping around a key is there.

    Example:
        >>> _has_place({'model': {'head': {}}}, 'model.head.weight')
        True
        >>> _has_place({'model': {'head': {}}}, 'model.haed.weight')
        False
    """
    *parents, last = key.split('.')
    for part in parents:
        if isinstance(config, list) and part.isdigit():
            config = dict(enumerate(config)).get(int(part))
        else:
            config = config.get(part) if isinstance(config, dict) else None
    is_place = isinstance(config, (dict, list))
    return is_place and (bool(parents) or last in config)
