"""What the cells of a plan measured, as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mmgmp.apis.benchmark.cell_state import CellFiles, State, read_json
from mmgmp.apis.benchmark.cells import TRAIN
from mmgmp.apis.benchmark.facts import last_ratios, read_history
from mmgmp.apis.benchmark.plan import Plan

#: Roles of the cells that are in the tables.
REPORTED = ('run', 'winner', 'rerun')


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Args:
        plan: The plan.
        cells: One row per cell that can be named by now: ``method``,
            ``modalities``, ``target``, ``seed``, ``role``, ``settings``,
            ``state``, ``config`` and ``failure`` (``''`` if there is none).
        numbers: Long form, one row per number: the number of the ``cell``,
            ``metric`` (``<evaluation>/<metric>``, or the name of a
            discrepancy ratio) and ``value`` (accuracies in [0, 1]).
        facts: Date, clips, machine and software of each trained cell.
    """

    plan: Plan
    cells: pd.DataFrame
    numbers: pd.DataFrame
    facts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def num_done(self) -> int:
        """Number of complete cells."""
        return int((self.cells['state'] == State.DONE.value).sum())

    def long(self) -> pd.DataFrame:
        """Return the numbers with what is known of their cells."""
        return self.numbers.join(self.cells, on='cell')

    def reported(self) -> pd.DataFrame:
        """Return the numbers that tables are made of."""
        long = self.long()
        return long[long['role'].isin(REPORTED)]


def collect_results(plan: Plan, cells: Iterable[CellFiles]) -> Results:
    """Read what the cells have measured.

    Args:
        plan: The plan.
        cells: Its cells.

    Returns:
        The results so far.
    """
    rows: list[dict[str, Any]] = []
    numbers: list[tuple[int, str, float]] = []
    facts: dict[int, Mapping[str, Any]] = {}
    for files in cells:
        number, cell = len(rows), files.cell
        rows.append(
            {
                'method': cell.method,
                'modalities': cell.modalities,
                'target': cell.target,
                'seed': cell.seed,
                'role': cell.role,
                'settings': _settings(cell.settings),
                'state': files.state().value,
                'config': cell.config.name,
                'failure': _failure(files),
            }
        )
        measured = {**files.metrics(), **_ratios(files)}
        numbers += [(number, name, value) for name, value in measured.items()]
        trained = read_json(files.stage_file(TRAIN)) or {}
        if trained.get('facts'):
            facts[number] = trained['facts']
    return Results(
        plan,
        pd.DataFrame(rows),
        # Typed, since the frame of an unstarted plan is empty.
        pd.DataFrame(numbers, columns=['cell', 'metric', 'value']).astype(
            {'cell': int, 'value': float}
        ),
        facts,
    )


def _settings(settings: Mapping[str, Any]) -> str:
    return ' '.join(f'{name}={value}' for name, value in settings.items())


def _ratios(files: CellFiles) -> dict[str, float]:
    """Mean discrepancy ratios of the last epoch of a finished training."""
    if read_json(files.stage_file(TRAIN)) is None:
        return {}
    history = read_history(files)
    found = last_ratios(history, files.schedule()) if history else {}
    return {f'{name}, last epoch': value for name, value in found.items()}


def _failure(files: CellFiles) -> str:
    """Say where a cell failed, with which settings, and its last words."""
    if files.state() is not State.FAILED:
        return ''
    failure = files.failure() or {}
    settings = _settings(files.cell.overrides) or 'those of the config'
    return (
        f'{failure.get("stage")} ended with {failure.get("code")}: '
        f'{files.last_words(str(failure.get("stage")))} (settings: '
        f'{settings})'
    )
