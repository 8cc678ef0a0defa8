"""The cells of a plan: one training and its tests each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.plan import Method, Overrides, Plan
from mmgmp.apis.benchmark.plan_file import check_length, slug
from mmgmp.apis.benchmark.search import Study, select_trial

TRAIN = 'train'
TEST = 'test'
#: Best source-validation accuracy of a trained cell, None before that.
Validation = Callable[['Cell'], 'float | None']


@dataclass(frozen=True)
class Cell:
    """One training run and the evaluations that follow it.

    Args:
        method: Row of the table.
        modalities: Name of the modality set, ``''`` if there is one only.
        target: Name of the unseen domain.
        seed: Training seed.
        config: Training config.
        overrides: Config keys that differ from the file.
        stages: What is done, in this order: ``'train'``, ``'test'`` and
            names of further evaluations.
        label: Tells apart cells that differ in their settings.
        settings: Values of the swept or searched parameters.
        role: ``'run'``, ``'sweep'``, ``'trial'``, ``'winner'`` or
            ``'rerun'``.
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

    @property
    def name(self) -> str:
        """Path of the cell below the work directory.

        Example:
            >>> Cell('GMP', '', 'H', 0, Path('a.py'), {}, ('train',)).name
            'GMP/H/seed-0'
        """
        parts = (self.method, self.modalities, self.target, self.label)
        return '/'.join(
            [slug(part) for part in parts if part] + [f'seed-{self.seed}']
        )

    def folder(self, work_dir: Path) -> Path:
        """Return where its files go."""
        return work_dir / self.name


def plan_cells(plan: Plan, validation: Validation) -> list[Cell]:
    """List the cells that can be named by now.

    A search has two rounds: which configuration is run again is known only
    when its trials are trained. Call this again then.

    Args:
        plan: The plan.
        validation: Source-validation accuracy of a trained cell. Target
            accuracy is not asked for, so it cannot decide anything.

    Returns:
        Cells with different names.

    Raises:
        FileNotFoundError: If a config is missing.
        ValueError: If two cells have one name.
    """
    cells: list[Cell] = []
    for name, modalities, target in product(
        plan.methods, plan.modalities, plan.targets
    ):
        group = _Group(plan, name, modalities, target)
        if plan.search is None:
            cells += group.runs()
        else:
            cells += group.searched(validation)
    names = [cell.name for cell in cells]
    twice = sorted(n for n, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(
            f'methods, targets and settings must differ, got {twice} twice; '
            'rename them (upper and lower case are told apart)'
        )
    for cell in cells:
        place = f'{plan.path}: settings of methods.{cell.method}'
        check_length(place, slug(cell.label))
        # Unlike the method of a path, it bears names that are too long.
        if not os.path.isfile(cell.config):
            raise FileNotFoundError(
                f'methods.{cell.method} names {cell.config}, which is not '
                f'there; paths are relative to the plan {plan.path}, and '
                f'placeholders are filled from names {dict(plan.names)}'
            )
    return cells


@dataclass(frozen=True)
class _Group:
    """The cells of one method on one target."""

    plan: Plan
    name: str
    modalities: str
    target: str

    @property
    def method(self) -> Method:
        return self.plan.methods[self.name]

    def runs(self) -> Iterator[Cell]:
        for seed in self.plan.seeds:
            yield self._cell(seed)
        for settings in _sweep_settings(self.method):
            label = ','.join(f'{k}={v}' for k, v in settings.items())
            for seed in self.plan.seeds:
                yield self._cell(seed, label, settings, 'sweep')

    def searched(self, validation: Validation) -> Iterator[Cell]:
        search = self.plan.search
        if search is None:
            return
        study = Study(
            self.plan.work_dir,
            f'{self.name}/{self.modalities}/{self.target}',
            search,
            self.method.space,
        )
        trials: list[Cell] = []
        accuracies: list[float] = []
        # Handing one in may let the next trial be named.
        while len(trials) < len(settings := study.settings()):
            number = len(trials)
            trials.append(self._trial(number, settings[number]))
            accuracy = validation(trials[-1])
            if accuracy is not None:
                study.tell(number, accuracy)
                accuracies.append(accuracy)
        if len(accuracies) < search.trials + 1:
            yield from trials
            return
        best = select_trial(accuracies)
        for number, trial in enumerate(trials):
            if number == best:
                trial = self._trial(number, trial.settings, 'winner')
            yield trial
        for number in range(search.reruns):
            yield self._cell(
                self.plan.seeds[0] + search.trials + 1 + number,
                'rerun',
                trials[best].settings,
                'rerun',
            )

    def _trial(
        self, number: int, settings: Mapping[str, Any], role: str = 'trial'
    ) -> Cell:
        seed = self.plan.seeds[0] + number
        return self._cell(seed, f'trial-{number:02d}', settings, role)

    def _cell(
        self,
        seed: int,
        label: str = '',
        settings: Mapping[str, Any] | None = None,
        role: str = 'run',
    ) -> Cell:
        plan, method = self.plan, self.method
        path = method.config
        for key, value in plan.names.items():
            path = path.replace(f'{{{key}}}', value)
        is_tested = role != 'trial' or (
            plan.search is not None and plan.search.oracle
        )
        return Cell(
            self.name,
            self.modalities,
            self.target,
            seed,
            (plan.path.parent / path).resolve(),
            {
                **method.overrides,
                **plan.modalities[self.modalities],
                **plan.targets[self.target],
                **plan.overrides,
                **{
                    plan.config_key(name): value
                    for name, value in (settings or {}).items()
                },
            },
            (TRAIN, TEST, *plan.evaluations) if is_tested else (TRAIN,),
            label,
            settings or {},
            role,
        )


def _sweep_settings(method: Method) -> list[dict[str, Any]]:
    """All combinations of each grid, each combination once."""
    settings: list[dict[str, Any]] = []
    for grid in method.sweep:
        for values in product(*grid.values()):
            combination = dict(zip(grid, values, strict=True))
            if combination not in settings:
                settings.append(combination)
    return settings
