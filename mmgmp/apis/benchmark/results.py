"""What the cells of a plan measured, for the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.benchmark.cells import TRAIN
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.apis.report.results import LAST_EPOCH, Results
from mmgmp.apis.training_files import History, last_ratios, read_ratios


def collect_results(plan: Plan, cells: Iterable[CellFiles]) -> Results:
    """Read what the cells have measured so far.

    Args:
        plan: The plan.
        cells: Its cells.
    """
    rows: list[dict[str, Any]] = []
    numbers: list[tuple[int, str, float]] = []
    facts: dict[int, Mapping[str, Any]] = {}
    histories: dict[int, History] = {}
    remarks: list[str] = []
    for number, files in enumerate(cells):
        rows.append(_row(files))
        remarks += _left_out(files)
        measured = files.metrics()
        trained = files.read(TRAIN)
        if trained is not None:
            history = read_ratios(files.folder)
            for name, mean in last_ratios(history, files.schedule()).items():
                measured[f'{name}{LAST_EPOCH}'] = mean
            cell = files.cell
            if history and (cell.role, cell.seed) == ('run', plan.seeds[0]):
                histories[number] = history
            if 'facts' in trained:
                facts[number] = trained['facts']
        numbers += [(number, name, value) for name, value in measured.items()]
    return Results(
        plan,
        pd.DataFrame(rows),
        # Typed, since the frame of an unstarted plan is empty.
        pd.DataFrame(numbers, columns=['cell', 'metric', 'value']).astype(
            {'cell': int, 'value': float}
        ),
        facts,
        histories,
        remarks,
    )


def _left_out(files: CellFiles) -> Iterator[str]:
    """Say where the members of an ensemble have different samples."""
    stages = files.cell.stages if files.cell.ensemble else ()
    for stage in stages:
        found = files.read(stage) or {}
        counts = {k: n for k, n in found.get('left_out', {}).items() if n}
        if counts:
            texts = ', '.join(f'{n} of {name}' for name, n in counts.items())
            yield (
                f'{files.cell.name}, {stage}: the {found["samples"]} samples '
                f'that all members have count, NOT {texts}.'
            )


def _row(files: CellFiles) -> dict[str, Any]:
    cell, state = files.cell, files.state()
    return {
        'method': cell.method,
        'modalities': cell.modalities,
        'target': cell.target,
        'seed': cell.seed,
        'role': cell.role,
        'settings': _text(cell.settings),
        'state': state.value,
        'config': cell.config.name,
        'averaged': files.average(),
        'trained_on_target': ', '.join(files.trained_targets()),
        'in_domain': files.is_in_domain(),
        'failure': _failure(files) if state is State.FAILED else '',
    }


def _text(settings: Mapping[str, Any]) -> str:
    return ' '.join(f'{name}={value}' for name, value in settings.items())


def _failure(files: CellFiles) -> str:
    """Say where a cell failed, with which settings, and its last words."""
    failure = files.failure()
    settings = _text(files.cell.overrides) or 'those of the config'
    return f'{failure.what}: {failure.words} (settings: {settings})'
