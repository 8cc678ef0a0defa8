"""The state of a cell, derived from its files.

=================  =====================================================
``cell.json``      what the cell is; written before its first process, and
                   again if it was damaged after the training
``train.json``     the training is complete; which checkpoint is tested
``<stage>.json``   an evaluation is complete; its metrics
``failure.json``   the last process failed; removed by a retry
``.lock``          held (``flock``) by whoever works on the cell, and so
                   by nobody once those processes are gone
=================  =====================================================
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmgmp.apis.benchmark.averaging import find_average
from mmgmp.apis.benchmark.cells import SOURCE, TRAIN, Cell
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.apis.benchmark.rows import fill_checkpoints
from mmgmp.apis.training_files import Metrics, Schedule
from mmgmp.utils import draft_files, text_files
from mmgmp.utils.file_names import slug
from mmgmp.utils.protocol import resolve_protocol

#: What readers of the files rely on: types by key, a list for all keys.
_SHAPES: Mapping[str, Any] = {
    'metrics': [int, float],
    'checkpoint': (str,),
    'facts': {
        'date': (str,),
        'length': (int,),
        'unit': (str,),
        'clips': [int, str],
        'machine': [int, str],
        'software': [int, str],
    },
}


#: Whose metrics are those of source validation.
_VALIDATING = (TRAIN, SOURCE)


class State(Enum):
    """How far a cell is."""

    PENDING = 'pending'
    INTERRUPTED = 'interrupted'
    FAILED = 'failed'
    DONE = 'done'


class Failure(NamedTuple):
    """Why a cell failed: what happened, last words, and where they are."""

    what: str
    words: str
    log: Path


class CellFiles:
    """Read and write the files of one cell."""

    def __init__(self, plan: Plan, cell: Cell) -> None:
        self.plan = plan
        self.cell = cell
        self.folder = plan.work_dir / cell.name

    def config(
        self, stage: str = TRAIN, leave_out: Collection[str] = ()
    ) -> Config:
        """Return a stage's config, written out, but for some overrides."""
        return resolve_protocol(self._merged(stage, leave_out))

    def _merged(self, stage: str, leave_out: Collection[str] = ()) -> Config:
        config = copy.deepcopy(_read_config(self.cell.config))
        overrides = self.overrides(stage).items()
        config.merge_from_dict(
            {key: value for key, value in overrides if key not in leave_out}
        )
        return config

    def overrides(self, stage: str) -> dict[str, Any]:
        """Return the config keys that a stage sets."""
        source = {'protocol.measure': 'source'} if stage == SOURCE else {}
        trained = {
            need.cell.method: str(path)
            for need in self.needs()
            if (path := need.checkpoint()) is not None
        }
        return {
            **fill_checkpoints(self.cell.overrides, trained),
            **source,
            **self.plan.evaluations.get(stage, {}),
        }

    def needs(self) -> list[CellFiles]:
        """List the cells that must be done before this one starts."""
        return [CellFiles(self.plan, need) for need in self.cell.needs]

    def is_ready(self) -> bool:
        """Return whether all cells that this one needs are done."""
        return all(need.state() is State.DONE for need in self.needs())

    def checkpoint(self) -> Path | None:
        """Return the checkpoint that is tested, None before that."""
        trained = self.read(TRAIN)
        return self.folder / trained['checkpoint'] if trained else None

    def average(self) -> str:
        """Say which average of the weights is tested, ``''`` for none."""
        if self.cell.ensemble is not None:
            return ''
        return find_average(self._merged(TRAIN))

    def schedule(self) -> Schedule:
        """Return the schedule of the training."""
        return Schedule.of(self.config())

    def stage_file(self, stage: str) -> Path:
        """Return the file that says that a stage is complete."""
        return self.folder / f'{slug(stage)}.json'

    def stage_folder(self, stage: str) -> Path:
        """Return the work directory of a stage's process."""
        return self.folder if stage == TRAIN else self.folder / slug(stage)

    def log(self, stage: str) -> Path:
        """Return where a stage's process writes its output."""
        return self.folder / f'{slug(stage)}.log'

    def next_stage(self) -> str | None:
        """Return the first stage that is not complete."""
        stages = self.cell.stages
        return next((s for s in stages if self.read(s) is None), None)

    def state(self) -> State:
        """Derive the state; a cell in work elsewhere counts as interrupted."""
        stage = self.next_stage()
        if stage is None:
            return State.DONE
        if self.read('failure') is not None or self._failed_need():
            return State.FAILED
        has_begun = stage == TRAIN and self.read('cell') is not None
        return State.INTERRUPTED if has_begun else State.PENDING

    def read(self, name: str) -> dict[str, Any] | None:
        """Return ``cell``, ``failure`` or a stage; None if it is not there.

        Also None if the file is damaged: what is damaged counts as not done,
        is said once, and is made again.
        """
        return read_json(self.stage_file(name))

    def last_words(self, stage: str) -> str:
        """Return the last line that a stage's process wrote."""
        path = self.log(stage)
        if not path.is_file():
            return ''
        text = path.read_text(encoding='utf-8', errors='replace')
        return text.strip().rpartition('\n')[2].strip()

    def failure(self) -> Failure:
        """Say why the cell failed: its last process, or what it needs."""
        failure, need = self.read('failure'), self._failed_need()
        if failure is None and need is not None:
            what, words, log = need.failure()
            return Failure(f'it needs {need.cell.name}: {what}', words, log)
        failure = failure or {}
        stage = str(failure.get('stage'))
        what = f'{stage} ended with {failure.get("code")}'
        return Failure(what, self.last_words(stage), self.log(stage))

    def _failed_need(self) -> CellFiles | None:
        failed = (n for n in self.needs() if n.state() is State.FAILED)
        return next(failed, None)

    def write_failure(self, stage: str, code: int | str) -> None:
        """Remember that a stage's process failed."""
        failure = {'stage': stage, 'code': code, 'log': str(self.log(stage))}
        write_json(self.stage_file('failure'), failure)

    def write_stage(self, stage: str, values: Mapping[str, Any]) -> None:
        """Mark a stage as complete."""
        values = {**values, 'settings_hash': self._hash(stage)}
        write_json(self.stage_file(stage), values)

    def forget_tests(self) -> None:
        """Take away what was measured on an earlier training."""
        for stage in self.cell.stages[1:]:
            self.stage_file(stage).unlink(missing_ok=True)

    def write_cell(self) -> None:
        """Say what the cell is, before its first process starts."""
        names = ('method', 'modalities', 'target', 'seed', 'role', 'settings')
        values = {
            **{name: getattr(self.cell, name) for name in names},
            'corpus': self.plan.corpus,
            'synthetic': self.plan.synthetic,
            'config': str(self.cell.config),
            'overrides': self.cell.overrides,
            'settings_hash': self._hash('cell'),
        }
        write_json(self.stage_file('cell'), values)

    def metrics(self) -> Metrics:
        """Return all metrics so far, ``<evaluation>/<metric>``."""
        found: Metrics = {}
        for stage in self.cell.stages:
            values = (self.read(stage) or {}).get('metrics', {})
            prefix = 'val' if stage in _VALIDATING else stage
            found |= {f'{prefix}/{k}': v for k, v in values.items()}
        return found

    def source_accuracy(self) -> float | None:
        """Return what a search selects by, None until the cell is trained."""
        if self.read(TRAIN) is None:
            return None
        metrics = self.metrics()
        if 'val/acc/top1' not in metrics:
            raise ValueError(
                'a search needs acc/top1 on the source validation, got '
                f'{sorted(metrics)} from {self.cell.config}; give the config '
                'a val_evaluator AudioVisualAccuracy'
            )
        return metrics['val/acc/top1']

    def stale_files(self) -> list[Path]:
        """List what was made with settings other than the plan's."""
        # Where the first is damaged, the second says it, too.
        first = TRAIN if self.read('cell') is None else 'cell'
        stale = [
            self.stage_file(name)
            for name in (first, *self.cell.stages[1:])
            if (found := self.read(name)) is not None
            and found.get('settings_hash') != self._hash(name)
        ]
        trained = self.read(TRAIN) or {}
        if trained.get('choice', self.plan.checkpoint) != self.plan.checkpoint:
            stale.append(self.stage_file(TRAIN))
        return stale

    def outcome(self) -> list[Any]:
        """Tell one training of the cell from another, for who needs it."""
        trained = self.read(TRAIN) or {}
        facts = [trained.get(k) for k in ('checkpoint', 'step', 'metrics')]
        return [self.cell.name, *facts]

    def _hash(self, name: str) -> str:
        """Digest of the settings that the content of a file depends on."""
        cell, plan = self.cell, self.plan
        settings: list[Any] = [plan.evaluations.get(name), plan.checkpoint]
        needs = [need.outcome() for need in self.needs()]
        if cell.ensemble is not None:
            settings += [str(cell.ensemble), *needs]
        elif name in (TRAIN, 'cell'):
            content = _spell(_read_config(cell.config).to_dict())
            amp = ['--amp'] if plan.amp else []
            settings = [content, cell.overrides, cell.seed, *amp, *needs]
        return hashlib.sha256(_spell(settings).encode()).hexdigest()[:16]


def _spell(values: Any) -> str:
    return json.dumps(values, sort_keys=True, default=str)


@lru_cache(maxsize=256)
def _read_config(path: Path) -> Config:
    return Config.fromfile(path, import_custom_modules=False)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        # Python's own writer has NaN for metrics that are not defined.
        values: dict[str, Any] = text_files.read_json(path, allow_nan=True)
        needed = {'checkpoint', 'metrics'} if path.stem == TRAIN else set()
        shape = {k: _SHAPES[k] for k in _SHAPES if k in needed | set(values)}
        # The checkpoint is a file of this folder, and no path to another.
        name = values.get('checkpoint', 'none') if _fits(values, shape) else ''
        if not name or slug(name) != name:
            raise ValueError(
                f'{path} must be an object as the runner writes it, with '
                f'{sorted(shape)}, got {values!r:.200}'
            )
    except (OSError, TypeError, ValueError) as error:
        text_files.warn_once(f'{error}; it counts as not done')
        return None
    return values


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, tuple):
        return type(value) in shape
    if not isinstance(value, dict):
        return False
    if isinstance(shape, list):
        return all(type(item) in shape for item in value.values())
    return all(_fits(value.get(key), shape[key]) for key in shape)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object; a reader finds all of it or none."""
    text = json.dumps(values, indent=1, default=str) + '\n'
    with draft_files(path) as [draft]:
        draft.write_text(text, encoding='utf-8')
