"""The cells of a plan: one training and its tests each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.options import Overrides
from mmgmp.apis.benchmark.plan import Method, Plan
from mmgmp.apis.benchmark.rows import Ensemble, needed_rows
from mmgmp.apis.benchmark.search import Study, select_trial
from mmgmp.utils.file_names import check_length, slug
from mmgmp.utils.protocol import CACHE_KEY

TRAIN = 'train'
TEST = 'test'
#: Of a member of an ensemble: its predictions on source validation.
SOURCE = 'source'
#: Source-validation accuracy of a trained cell, None before that.
Validation = Callable[['Cell'], 'float | None']
#: Method, modality set and target.
Group = tuple[str, str, str]


@dataclass(frozen=True)
class Cell:
    """One training run and the evaluations that follow it.

    Args:
        method: Row of the table.
        modalities: Name of the modality set, ``''`` if there is one only.
        target: Name of the unseen domain.
        seed: Training seed.
        config: Training config; an empty path of an ensemble.
        overrides: Config keys that differ from the file.
        stages: ``'train'``, ``'test'`` and further evaluations, in order;
            ``'source'`` and ``'test'`` of an ensemble.
        label: Tells apart cells that differ in their settings.
        settings: Values of the swept or searched parameters.
        role: ``'run'``, ``'sweep'``, ``'trial'``, ``'winner'``, ``'rerun'``.
        needs: Cells that must be done before this one starts.
        ensemble: How the predictions of ``needs`` are combined; None is a
            training.
    """

    method: str
    modalities: str
    target: str
    seed: int
    config: Path
    overrides: Overrides
    stages: tuple[str, ...]
    label: str = ''
    settings: Mapping[str, Any] = field(default_factory=dict)
    role: str = 'run'
    needs: tuple[Cell, ...] = ()
    ensemble: Ensemble | None = None

    @property
    def group(self) -> Group:
        """Cells that differ in settings and seeds only."""
        return self.method, self.modalities, self.target

    @property
    def name(self) -> str:
        """Path of the cell below the work directory.

        Example:
            >>> Cell('GMP', '', 'H', 0, Path('a.py'), {}, ('train',)).name
            'GMP/H/seed-0'
        """
        parts = [slug(part) for part in (*self.group, self.label) if part]
        return '/'.join([*parts, f'seed-{self.seed}'])


def plan_cells(plan: Plan, validation: Validation) -> list[Cell]:
    """List the cells that can be named by now.

    A search has two rounds: which configuration is run again is known only
    when its trials are trained. Call this again then. Target accuracy is not
    asked for, so it cannot decide anything.
    """
    cells: list[Cell] = []
    for group in product(plan.methods, plan.modalities, plan.targets):
        if plan.search is None:
            cells += _runs(plan, group)
        else:
            cells += _searched(plan, group, validation)
    counts = Counter(cell.name for cell in cells)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(
            f'methods, targets and settings must differ, got {twice} twice; '
            'rename them (upper and lower case are told apart)'
        )
    for cell in cells:
        place = f'{plan.path}: settings of methods.{cell.method}'
        check_length(place, slug(cell.label))
        # Unlike the method of a path, it bears names that are too long.
        if cell.ensemble is None and not os.path.isfile(cell.config):
            raise FileNotFoundError(
                f'methods.{cell.method} names {cell.config}, which is not '
                f'there; paths are relative to the plan {plan.path}, and '
                f'placeholders are filled from names {dict(plan.names)}'
            )
    return cells


def _runs(plan: Plan, group: Group) -> Iterator[Cell]:
    for seed in plan.seeds:
        yield _cell(plan, group, seed)
    swept: list[dict[str, Any]] = []
    for grid in plan.methods[group[0]].sweep:
        for values in product(*grid.values()):
            settings = dict(zip(grid, values, strict=True))
            if settings in swept:  # by an earlier grid
                continue
            swept.append(settings)
            label = ','.join(f'{k}={v}' for k, v in settings.items())
            for seed in plan.seeds:
                yield _cell(plan, group, seed, label, settings, 'sweep')


def _searched(
    plan: Plan, group: Group, validation: Validation
) -> Iterator[Cell]:
    """The trials; when all are trained, the chosen one and its reruns."""
    search, first = plan.search, plan.seeds[0]
    if search is None:
        return
    space = plan.methods[group[0]].space
    study = Study(plan.work_dir, '/'.join(group), search, space)
    trials: list[Cell] = []
    accuracies: list[float] = []
    # Handing one in may let the next trial be named.
    while len(trials) < len(drawn := study.settings()):
        number = len(trials)
        label = f'trial-{number:02d}'
        trials.append(
            _cell(plan, group, first + number, label, drawn[number], 'trial')
        )
        accuracy = validation(trials[-1])
        if accuracy is not None:
            study.tell(number, accuracy)
            accuracies.append(accuracy)
    if len(accuracies) <= search.trials:
        yield from trials
        return
    best = trials[select_trial(accuracies)]
    chosen = (best.seed, best.label, best.settings)
    for trial in trials:
        yield _cell(plan, group, *chosen, 'winner') if trial is best else trial
    for number in range(search.reruns):
        seed = first + search.trials + 1 + number
        yield _cell(plan, group, seed, 'rerun', best.settings, 'rerun')


def _cell(
    plan: Plan,
    group: Group,
    seed: int,
    label: str = '',
    settings: Mapping[str, Any] | None = None,
    role: str = 'run',
) -> Cell:
    name, modalities, target = group
    method, settings = plan.methods[name], settings or {}
    return Cell(
        *group,
        seed,
        _config(plan, method),
        _overrides(plan, group, settings),
        _stages(plan, name, role),
        label,
        settings,
        role,
        tuple(
            _cell(plan, (row, modalities, target), seed)
            for row in needed_rows(method)
        ),
        method.ensemble,
    )


def _config(plan: Plan, method: Method) -> Path:
    path = method.config
    if not path:
        return Path()
    for key, value in plan.names.items():
        path = path.replace(f'{{{key}}}', value)
    return (plan.path.parent / path).resolve()


def _overrides(
    plan: Plan, group: Group, settings: Mapping[str, Any]
) -> Overrides:
    """The narrower comes later, but for what a plan says of all its cells."""
    name, modalities, target = group
    method = plan.methods[name]
    average = method.averaged
    # A row that cannot use a cache says so; the others may all share one.
    reads_files = method.overrides.get(CACHE_KEY, '') is None
    return {
        **(average.overrides(plan.averaging) if average else {}),
        **method.overrides,
        **plan.modalities[modalities],
        **plan.targets[target],
        **plan.overrides,
        **({CACHE_KEY: None} if reads_files else {}),
        **{plan.config_key(key): value for key, value in settings.items()},
    }


def _stages(plan: Plan, method: str, role: str) -> tuple[str, ...]:
    if plan.methods[method].ensemble is not None:
        return (SOURCE, TEST)
    if role == 'trial' and not (plan.search and plan.search.oracle):
        return (TRAIN,)
    ensembles = [m.ensemble for m in plan.methods.values() if m.ensemble]
    is_member = any(method in ensemble.members for ensemble in ensembles)
    source = [SOURCE] if is_member and role == 'run' else []
    return (TRAIN, TEST, *source, *plan.evaluations)
