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
from typing import Any

from mmengine.config import Config

from mmgmp.apis.benchmark.cells import TRAIN, Cell
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.apis.benchmark.plan_values import slug
from mmgmp.apis.training_files import Metrics, Schedule
from mmgmp.utils import draft_files, text_files
from mmgmp.utils.protocol import resolve_protocol

_WORD = (int, str)
#: What those who read the files of a cell rely on: types by key, ``...`` for
#: all further keys.
_SHAPES: Mapping[Any, Any] = {
    'metrics': {...: (int, float)},
    'checkpoint': (str,),
    'facts': {
        'date': (str,),
        'length': (int,),
        'unit': (str,),
        'clips': {...: _WORD},
        'machine': {'gpu': (str,), ...: _WORD},
        'software': {...: _WORD},
    },
}


class State(Enum):
    """How far a cell is."""

    PENDING = 'pending'
    INTERRUPTED = 'interrupted'
    FAILED = 'failed'
    DONE = 'done'


class CellFiles:
    """Read and write the files of one cell.

    Args:
        plan: The plan.
        cell: The cell.
    """

    def __init__(self, plan: Plan, cell: Cell) -> None:
        self.plan = plan
        self.cell = cell
        self.folder = cell.folder(plan.work_dir)

    def config(
        self, stage: str = TRAIN, leave_out: Collection[str] = ()
    ) -> Config:
        """Return a stage's config, written out, but for some overrides."""
        config = copy.deepcopy(_read_config(self.cell.config))
        overrides = self.overrides(stage)
        config.merge_from_dict(
            {k: v for k, v in overrides.items() if k not in leave_out}
        )
        return resolve_protocol(config)

    def overrides(self, stage: str) -> dict[str, Any]:
        """Return the config keys that a stage sets."""
        return {**self.cell.overrides, **self.plan.evaluations.get(stage, {})}

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

    def open_stages(self) -> list[str]:
        """Return the stages that are not complete, in order."""
        stages = list(self.cell.stages)
        while stages and self.read(stages[0]) is not None:
            stages.pop(0)
        return stages

    def next_stage(self) -> str | None:
        """Return the first stage that is not complete."""
        return next(iter(self.open_stages()), None)

    def state(self) -> State:
        """Derive the state; a cell in work elsewhere counts as interrupted."""
        stage = self.next_stage()
        if stage is None:
            return State.DONE
        if self.read('failure') is not None:
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

    def write_failure(self, stage: str, code: int | str) -> None:
        """Remember that a stage's process failed."""
        failure = {'stage': stage, 'code': code, 'log': str(self.log(stage))}
        write_json(self.stage_file('failure'), failure)

    def clear_failure(self) -> None:
        """Allow another try."""
        self.stage_file('failure').unlink(missing_ok=True)

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
        cell = self.cell
        values = {
            'method': cell.method,
            'modalities': cell.modalities,
            'target': cell.target,
            'seed': cell.seed,
            'role': cell.role,
            'settings': dict(cell.settings),
            'corpus': self.plan.corpus,
            'synthetic': self.plan.synthetic,
            'config': str(cell.config),
            'overrides': cell.overrides,
            'settings_hash': self._hash(TRAIN),
        }
        write_json(self.stage_file('cell'), values)

    def metrics(self) -> Metrics:
        """Return all metrics so far, ``<evaluation>/<metric>``."""
        found: Metrics = {}
        for stage in self.cell.stages:
            values = (self.read(stage) or {}).get('metrics', {})
            prefix = 'val' if stage == TRAIN else stage
            found |= {f'{prefix}/{k}': v for k, v in values.items()}
        return found

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

    def _hash(self, name: str) -> str:
        """Digest of the settings that the content of a file depends on."""
        cell, plan = self.cell, self.plan
        settings: list[Any] = [plan.evaluations.get(name), plan.checkpoint]
        if name in (TRAIN, 'cell'):
            content = _read_config(cell.config).to_dict()
            text = json.dumps(content, sort_keys=True, default=str)
            settings = [text, cell.overrides, cell.seed]
            settings += ['--amp'] if plan.amp else []
        text = json.dumps(settings, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _read_config(path: Path) -> Config:
    """Read a config once, without importing what it names."""
    return Config.fromfile(path, import_custom_modules=False)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        # Python's own writer has NaN for metrics that are not defined.
        values: dict[str, Any] = text_files.read_json(path, allow_nan=True)
        if not _is_whole(values, path.stem):
            raise ValueError(f'{path} lacks what it must say, or is no object')
    except (OSError, ValueError) as error:
        text_files.warn_once(f'{error}; it counts as not done')
        return None
    return values


def _is_whole(values: Any, name: str) -> bool:
    needed = {'checkpoint', 'metrics'} if name == TRAIN else set()
    if not isinstance(values, dict) or not needed <= set(values):
        return False
    known = {key: shape for key, shape in _SHAPES.items() if key in values}
    checkpoint = values.get('checkpoint', 'name')
    # It is a file of this folder, and no path to another one.
    return _fits(values, known) and slug(checkpoint) == checkpoint != ''


def _fits(value: Any, shape: Any) -> bool:
    if not isinstance(shape, dict):
        return type(value) in shape
    return isinstance(value, dict) and all(
        _fits(value.get(key), shape.get(key, shape.get(...)))
        for key in {*value, *shape} - {...}
        if key in shape or ... in shape
    )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object; a reader finds all of it or none."""
    with draft_files(path) as [draft]:
        draft.write_text(
            json.dumps(values, indent=1, default=str) + '\n', encoding='utf-8'
        )
