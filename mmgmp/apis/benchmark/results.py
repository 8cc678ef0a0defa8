"""From the files of a plan's cells to its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmgmp.apis.benchmark.cell_state import CellFiles, State, read_json
from mmgmp.apis.benchmark.cells import TRAIN, Cell
from mmgmp.apis.benchmark.facts import last_ratios, read_history
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.apis.benchmark.published import Published, find_published
from mmgmp.apis.benchmark.statistics import (
    Difference,
    Summary,
    average_targets,
    paired_difference,
    summarise,
)
from mmgmp.apis.benchmark.training_state import Metrics

AVERAGE = 'avg'
#: Roles of the cells that are in the tables.
REPORTED = ('run', 'winner', 'rerun')


@dataclass(frozen=True)
class Run:
    """One cell with what it measured.

    Args:
        cell: The cell.
        state: How far it is.
        metrics: Its numbers so far, ``<evaluation>/<metric>``, in [0, 1].
        ratios: Mean discrepancy ratios of the last epoch, by name.
        facts: Date, clips, machine and software of the training.
    """

    cell: Cell
    state: State
    metrics: Metrics
    ratios: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One method in a table; numbers in percent, by column.

    Args:
        method: Name.
        summaries: Mean and deviation.
        differences: Paired differences, by the method compared with.
        published: Published numbers.
    """

    method: str
    summaries: Mapping[str, Summary]
    differences: Mapping[str, Mapping[str, Difference]]
    published: Mapping[str, Published]


@dataclass(frozen=True)
class Table:
    """One metric of all methods on all targets.

    Args:
        metric: Heading of the metric.
        modalities: Modality set, ``''`` if the plan has one only.
        columns: Targets, then ``'avg'``.
        rows: Methods with at least one number.
    """

    metric: str
    modalities: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Args:
        plan: The plan.
        runs: Every cell that can be named by now.
        tables: The tables, by modality set and metric.
        oracle: Average target accuracy of the selected trial and of the best
            one on the target, by method; only if the plan asks for it.
    """

    plan: Plan
    runs: tuple[Run, ...]
    tables: tuple[Table, ...]
    oracle: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def num_done(self) -> int:
        """Number of complete cells."""
        return sum(run.state is State.DONE for run in self.runs)


def collect_results(plan: Plan, cells: Iterable[CellFiles]) -> Results:
    """Read what the cells have measured and compute the tables.

    Args:
        plan: The plan.
        cells: Its cells.

    Returns:
        The results so far.
    """
    runs = tuple(_run(files) for files in cells)
    tables = tuple(
        table
        for modalities in plan.modalities
        for heading, key in plan.metrics.items()
        if (table := _table(plan, runs, modalities, heading, key)).rows
    )
    return Results(plan, runs, tables, _oracle(plan, runs))


def _run(files: CellFiles) -> Run:
    trained = read_json(files.stage_file(TRAIN))
    if trained is None:
        return Run(files.cell, files.state(), files.metrics())
    history = read_history(files)
    return Run(
        files.cell,
        files.state(),
        files.metrics(),
        last_ratios(history, files.schedule()) if history else {},
        trained.get('facts', {}),
    )


def _table(
    plan: Plan,
    runs: Sequence[Run],
    modalities: str,
    heading: str,
    key: str,
) -> Table:
    shown = [
        run
        for run in runs
        if run.cell.role in REPORTED
        and run.cell.modalities == modalities
        # AUROC, for one, has no value for a model that is always right.
        and np.isfinite(run.metrics.get(key, np.nan))
    ]
    by_seed = _collect(plan, shown, key, lambda cell: cell.seed)
    # Of a search, the chosen trial is the first run of every target.
    by_place = _collect(
        plan, shown, key, lambda c: -1 if c.role == 'winner' else c.seed
    )
    columns = (*plan.targets, *([AVERAGE] if len(plan.targets) > 1 else []))
    rows = tuple(
        Row(
            method,
            _summaries(by_place[method]),
            _differences(plan, method, by_seed),
            _published(plan, method, modalities, heading, columns),
        )
        for method in plan.methods
        if method in by_place
    )
    return Table(heading, modalities, columns, rows)


def _collect(
    plan: Plan, runs: Iterable[Run], key: str, place: Callable[[Cell], int]
) -> dict[str, dict[str, dict[int, float]]]:
    """Numbers in percent by method, target (and average) and place."""
    by_method: dict[str, dict[str, dict[int, float]]] = {}
    for run in runs:
        by_target = by_method.setdefault(run.cell.method, {})
        values = by_target.setdefault(run.cell.target, {})
        values[place(run.cell)] = 100 * run.metrics[key]
    for by_target in by_method.values():
        # An average over some targets only would not compare with others.
        if set(by_target) == set(plan.targets) and len(plan.targets) > 1:
            by_target[AVERAGE] = average_targets(by_target)
    return by_method


def _summaries(
    by_target: Mapping[str, Mapping[int, float]],
) -> dict[str, Summary]:
    return {
        target: summary
        for target, values in by_target.items()
        if (summary := summarise(list(values.values()))) is not None
    }


def _differences(
    plan: Plan,
    method: str,
    by_method: Mapping[str, Mapping[str, Mapping[int, float]]],
) -> dict[str, dict[str, Difference]]:
    differences: dict[str, dict[str, Difference]] = {}
    own = plan.methods[method].compare_to
    others = plan.compare_to if own is None else own
    if method in others:  # a pair is shown once
        others = others[: others.index(method)]
    for other in others:
        if other not in by_method:
            continue
        found = {
            target: paired_difference(values, by_method[other][target])
            for target, values in by_method[method].items()
            if target in by_method[other]
        }
        differences[other] = {
            target: difference
            for target, difference in found.items()
            if difference is not None
        }
    return differences


def _published(
    plan: Plan,
    method: str,
    modalities: str,
    heading: str,
    columns: Iterable[str],
) -> dict[str, Published]:
    """Look up a row: targets for 'target', a branch for 'target video'."""
    if not plan.published:
        return {}
    split, _, branch = heading.partition(' ')
    places = {AVERAGE: branch} if branch else {c: c for c in columns}
    found = {
        column: find_published(
            plan.published, method, modalities, split, place
        )
        for column, place in places.items()
    }
    return {c: value for c, value in found.items() if value is not None}


def _oracle(plan: Plan, runs: Iterable[Run]) -> dict[str, tuple[float, float]]:
    """Compare the selected trial with the best one on the target."""
    if plan.search is None or not plan.search.oracle:
        return {}
    key = next((k for k in plan.metrics.values() if k.startswith('test/')), '')
    groups: dict[str, dict[tuple[str, str], list[Run]]] = {}
    for run in runs:
        if run.cell.role in ('trial', 'winner') and key in run.metrics:
            group = groups.setdefault(run.cell.method, {})
            place = (run.cell.modalities, run.cell.target)
            group.setdefault(place, []).append(run)
    found = {}
    for method, by_place in groups.items():
        selected = [
            100 * run.metrics[key]
            for trials in by_place.values()
            for run in trials
            if run.cell.role == 'winner'
        ]
        best = [
            100 * max(run.metrics[key] for run in trials)
            for trials in by_place.values()
        ]
        if len(selected) == len(best):
            found[method] = (
                sum(selected) / len(selected),
                sum(best) / len(best),
            )
    return found


def as_record(run: Run) -> dict[str, Any]:
    """Write a run as one flat row.

    Args:
        run: The run.

    Returns:
        What the cell is, then its metrics.
    """
    cell = run.cell
    return {
        'method': cell.method,
        'modalities': cell.modalities,
        'target': cell.target,
        'seed': cell.seed,
        'role': cell.role,
        'settings': ' '.join(f'{k}={v}' for k, v in cell.settings.items()),
        'state': run.state.value,
        'config': cell.config.name,
        **run.metrics,
        **{f'{name}, last epoch': value for name, value in run.ratios.items()},
    }


def ratio_summaries(
    results: Results,
) -> dict[tuple[str, str], dict[str, Summary]]:
    """Summarise the last epoch's ratios over targets and seeds.

    Args:
        results: What was measured.

    Returns:
        Summary by name of the ratio, by method and modality set.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for run in results.runs:
        if run.cell.role in REPORTED and run.ratios:
            group = found.setdefault(
                (run.cell.method, run.cell.modalities), {}
            )
            for name, value in run.ratios.items():
                group.setdefault(name, []).append(value)
    return {
        group: {
            name: summary
            for name, values in by_name.items()
            if (summary := summarise(values)) is not None
        }
        for group, by_name in found.items()
    }
