"""What must hold before a plan is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.averaging import PLACE, check_single_average
from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.benchmark.cells import SOURCE, TEST, TRAIN
from mmgmp.apis.benchmark.options import flatten
from mmgmp.apis.benchmark.plan import Plan


def check_cells(plan: Plan, cells: Sequence[CellFiles], resume: bool) -> None:
    """Refuse what would give wrong results or start over unasked."""
    stale = [path for files in cells for path in files.stale_files()]
    if stale:
        raise ValueError(
            f'the work directory {plan.work_dir} must hold cells of this '
            f'plan, got other settings in {len(stale)} files, such as '
            f'{stale[0]}; name another --work-dir, or delete them to run '
            'those cells again'
        )
    check_configs(cells)
    states = [(files, files.state()) for files in cells]
    waiting = [files for files, state in states if state is not State.DONE]
    if missing := _missing_files(waiting):
        raise FileNotFoundError(
            f'{len(missing)} files that this plan needs are not there; make '
            'or fetch them first (data_prep/README.md names the steps):\n  '
            + '\n  '.join(missing)
        )
    begun = [f.cell.name for f, state in states if state is State.INTERRUPTED]
    if begun and not resume:
        raise RuntimeError(
            f'{len(begun)} cells were interrupted or are in work elsewhere '
            f'({", ".join(begun[:5])}); add --resume to continue them'
        )


def check_configs(cells: Iterable[CellFiles]) -> None:
    """Refuse a domain, modality or varied parameter that a config lacks."""
    groups: dict[tuple[object, ...], CellFiles] = {}
    for files in _trained(cells):
        groups.setdefault((files.cell.group, *files.cell.settings), files)
    for files in groups.values():
        source = [SOURCE] if SOURCE in files.cell.stages else []
        for stage in (TRAIN, *source, *files.plan.evaluations):
            _check_protocol(files, stage)
        _check_parameters(files)
        _check_average(files)
        # Paths of checkpoints go through the command line of a script.
        flatten({'work_dir': [str(need.folder) for need in files.needs()]})


def _trained(cells: Iterable[CellFiles]) -> Iterator[CellFiles]:
    yield from (files for files in cells if files.cell.ensemble is None)


def _check_protocol(files: CellFiles, stage: str) -> None:
    try:
        files.config(stage)
    except ValueError as error:
        place = '' if stage == TRAIN else f', {stage}'
        raise ValueError(f'cell {files.cell.name}{place}: {error}') from error


def _check_parameters(files: CellFiles) -> None:
    """A misspelt key would be varied without any effect."""
    cell = files.cell
    keys = {name: files.plan.config_key(name) for name in cell.settings}
    # Merging a key makes its place.
    config = files.config(leave_out=keys.values()).to_dict()
    for name, key in keys.items():
        if not _has_place(config, key):
            raise ValueError(
                f'{name} of methods.{cell.method} must set a key that '
                f'{cell.config.name} knows, got {key!r}; correct it in '
                'parameters'
            )


def _check_average(files: CellFiles) -> None:
    method = files.plan.methods[files.cell.method]
    if method.averaged is not None:
        own = [k for k in files.cell.overrides if k.startswith(f'{PLACE}.')]
        check_single_average(files.cell.method, files.config(leave_out=own))


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


def _missing_files(cells: Iterable[CellFiles]) -> list[str]:
    """List what cells need and is not there, each with who needs it.

    Looked for are annotation files, pretrained weights and checkpoints to
    start from. Media are not: that is what ``tools/check_data.py`` is for.
    """
    needed: dict[str, str] = {}
    for files in _trained(cells):
        for path in _named_files(files.config().to_dict()):
            if '://' not in path and not Path(path).exists():
                needed.setdefault(path, files.cell.name)
    return [f'{path} (for {name})' for path, name in needed.items()]


def _named_files(config: dict[str, Any]) -> Iterator[str]:
    """Annotation files and weights of a config."""
    for split in (TRAIN, 'val', TEST):
        loader = config.get(f'{split}_dataloader') or {}
        dataset = loader.get('dataset') or {}
        names = dataset.get('ann_file') or []
        for name in [names] if isinstance(names, str) else names:
            yield str(Path(dataset.get('data_root') or '', name))
    yield from _weights(config.get('model'))
    yield from filter(None, [config.get('load_from')])


def _weights(model: Any) -> Iterator[str]:
    """Checkpoints that parts of a model are initialised from."""
    if isinstance(model, dict):
        if isinstance(model.get('checkpoint'), str):
            yield model['checkpoint']
        model = list(model.values())
    if isinstance(model, (list, tuple)):
        for part in model:
            yield from _weights(part)
