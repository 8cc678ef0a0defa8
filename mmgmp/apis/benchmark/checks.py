"""What must hold before a plan is run."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
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
        FileNotFoundError: If files that cells need are not there; the
            message lists all of them.
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
    check_protocols(plan, cells)
    _check_parameters(plan, cells)
    waiting = [files for files in cells if files.state() is not State.DONE]
    if missing := missing_files(waiting):
        raise FileNotFoundError(
            f'{len(missing)} files that this plan needs are not there; make '
            'or fetch them first (data_prep/README.md names the steps):\n  '
            + '\n  '.join(missing)
        )
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


def check_protocols(plan: Plan, cells: Sequence[CellFiles]) -> None:
    """Refuse a domain or modality that a corpus lacks, before any cell runs.

    Args:
        plan: The plan.
        cells: Its cells.

    Raises:
        ValueError: If the protocol of a cell or of its evaluations is none.
    """
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


def missing_files(cells: Iterable[CellFiles]) -> list[str]:
    """List what cells need and is not there, each with who needs it.

    Looked for are annotation files, pretrained weights and checkpoints to
    start from. Media are not: that is what ``tools/check_data.py`` is for.

    Args:
        cells: Cells that are still to run.
    """
    needed: dict[str, str] = {}
    for files in cells:
        for path in _named_files(files.config().to_dict()):
            if '://' not in path and not Path(path).exists():
                needed.setdefault(path, files.cell.name)
    return [f'{path} (for {name})' for path, name in needed.items()]


def _named_files(config: dict[str, Any]) -> Iterator[str]:
    """Annotation files and weights of a config."""
    for split in ('train', 'val', 'test'):
        loader = config.get(f'{split}_dataloader') or {}
        dataset = loader.get('dataset') or {}
        names = dataset.get('ann_file') or []
        for name in [names] if isinstance(names, str) else names:
            yield str(Path(dataset.get('data_root') or '', name))
    yield from _weights(config.get('model') or {})
    if config.get('load_from'):
        yield str(config['load_from'])


def _weights(model: Any) -> Iterator[str]:
    """Checkpoints that parts of a model are initialised from."""
    parts = model.values() if isinstance(model, dict) else model
    if isinstance(model, dict) and isinstance(model.get('checkpoint'), str):
        yield model['checkpoint']
    for part in parts:
        if isinstance(part, (dict, list, tuple)):
            yield from _weights(part)


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
