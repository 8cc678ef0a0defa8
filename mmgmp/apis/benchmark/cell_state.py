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

import fcntl
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from mmengine.config import Config

from mmgmp.apis.benchmark.cells import TRAIN, Cell
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.apis.benchmark.plan_file import slug
from mmgmp.apis.benchmark.training_state import Metrics, Schedule
from mmgmp.utils import draft_files, text_files
from mmgmp.utils.protocol import resolve_protocol

#: What the file of a finished training must say.
_NEEDED = {'train.json': ('checkpoint', 'metrics')}
#: What is known of a training, if anything is, with values of the same kind.
_FACTS = {
    'date': '',
    'length': 0,
    'unit': '',
    'clips': {},
    'machine': {'gpu': ''},
    'software': {},
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

    def config(self, import_custom_modules: bool = False) -> Config:
        """Return the training config, overridden and written out."""
        config = Config.fromfile(
            self.cell.config, import_custom_modules=import_custom_modules
        )
        config.merge_from_dict(dict(self.cell.overrides))
        return resolve_protocol(config)

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
        while stages and read_json(self.stage_file(stages[0])) is not None:
            stages.pop(0)
        return stages

    def next_stage(self) -> str | None:
        """Return the first stage that is not complete."""
        return next(iter(self.open_stages()), None)

    def state(self) -> State:
        """Derive the state; a cell in work elsewhere counts as interrupted."""
        if self.next_stage() is None:
            return State.DONE
        if self.failure() is not None:
            return State.FAILED
        if self.has_begun() and self.next_stage() == TRAIN:
            return State.INTERRUPTED
        return State.PENDING

    def has_begun(self) -> bool:
        """Return whether it is known what the files of the cell are of."""
        return read_json(self.folder / 'cell.json') is not None

    def failure(self) -> dict[str, Any] | None:
        """Return what is known about the last failure."""
        return read_json(self.folder / 'failure.json')

    def last_words(self, stage: str) -> str:
        """Return the last line that a stage's process wrote."""
        path = self.log(stage)
        if not path.is_file():
            return ''
        text = path.read_text(encoding='utf-8', errors='replace')
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ''

    def write_failure(self, stage: str, code: int | str) -> None:
        """Remember that a stage's process failed."""
        failure = {'stage': stage, 'code': code, 'log': str(self.log(stage))}
        write_json(self.folder / 'failure.json', failure)

    def clear_failure(self) -> None:
        """Allow another try."""
        (self.folder / 'failure.json').unlink(missing_ok=True)

    def write_stage(self, stage: str, values: Mapping[str, Any]) -> None:
        """Mark a stage as complete."""
        write_json(
            self.stage_file(stage),
            {**values, 'settings_hash': self._hash(stage)},
        )

    def forget_tests(self) -> None:
        """Take away what was measured on an earlier training."""
        for stage in self.cell.stages[1:]:
            self.stage_file(stage).unlink(missing_ok=True)

    def write_cell(self) -> None:
        """Say what the cell is, before its first process starts."""
        cell = self.cell
        write_json(
            self.folder / 'cell.json',
            {
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
            },
        )

    def metrics(self) -> Metrics:
        """Return all metrics so far, ``<evaluation>/<metric>``."""
        found: Metrics = {}
        for stage in self.cell.stages:
            values = read_json(self.stage_file(stage)) or {}
            prefix = 'val' if stage == TRAIN else stage
            for name, value in values.get('metrics', {}).items():
                found[f'{prefix}/{name}'] = value
        return found

    def stale_files(self) -> list[Path]:
        """List what was made with settings other than the plan's."""
        # Where the first is damaged, the second says it, too.
        cell = self.folder / 'cell.json'
        first = cell if self.has_begun() else self.stage_file(TRAIN)
        stages = [(first, TRAIN)]
        stages += [(self.stage_file(s), s) for s in self.cell.stages[1:]]
        stale = [
            path
            for path, stage in stages
            if (values := read_json(path)) is not None
            and values.get('settings_hash') != self._hash(stage)
        ]
        trained = read_json(self.stage_file(TRAIN)) or {}
        if trained.get('choice', self.plan.checkpoint) != self.plan.checkpoint:
            stale.append(self.stage_file(TRAIN))
        return stale

    def _hash(self, stage: str) -> str:
        """Digest of the settings that a stage's outcome depends on."""
        if stage == TRAIN:
            settings = [
                _config_text(self.cell.config),
                self.cell.overrides,
                self.cell.seed,
                *(['--amp'] if self.plan.amp else []),
            ]
        else:
            settings = [
                self.plan.evaluations.get(stage),
                self.plan.checkpoint,
            ]
        text = json.dumps(settings, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _config_text(path: Path) -> str:
    config = Config.fromfile(path, import_custom_modules=False)
    return json.dumps(config.to_dict(), sort_keys=True, default=str)


def lock(folder: Path) -> IO[str] | None:
    """Claim a cell for this process and the children that inherit the file.

    The operating system gives the claim up when the last of them is gone,
    however it ended.

    Args:
        folder: Of the cell; made if missing.

    Returns:
        The open file, or None if another process works on the cell.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / '.lock', 'a+', encoding='utf-8')  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, None if there is none or it is damaged.

    What is damaged counts as not done: it is said once, and made again.

    Args:
        path: File of a cell.

    Returns:
        The object; ``metrics`` and ``facts``, where they are, are mappings.
    """
    if not path.is_file():
        return None
    try:
        # Python's own writer has NaN for metrics that are not defined.
        values: dict[str, Any] = text_files.read_json(path, allow_nan=True)
        problem = _problem(values, path.name)
        if problem:
            raise ValueError(f'{path} is damaged: {problem}')
    except (OSError, ValueError) as error:
        text_files.warn_once(f'{error}; it counts as not done')
        return None
    return values


def _problem(values: Any, name: str) -> str:
    """Say what those who read the files of a cell would trip over."""
    if not isinstance(values, dict):
        return f'expected an object, got {type(values).__name__}'
    missing = sorted(set(_NEEDED.get(name, ())) - set(values))
    if missing:
        return f'{missing} missing'
    metrics = values.get('metrics', {})
    if not isinstance(metrics, dict) or not all(
        type(value) in (int, float) for value in metrics.values()
    ):
        return 'metrics must be numbers by name'
    checkpoint = values.get('checkpoint', 'name')
    is_name = isinstance(checkpoint, str) and slug(checkpoint) == checkpoint
    if not is_name or not checkpoint:
        return 'checkpoint must be the name of a file'
    facts = values.get('facts') or dict(_FACTS)
    are_facts = isinstance(facts, dict) and all(
        type(facts.get(key)) is type(like) for key, like in _FACTS.items()
    )
    if not are_facts or not _are_texts(
        facts['software'],
        facts['clips'],
        {'gpu': '', 'cores': 0, **facts['machine']},
    ):
        return 'facts must be those of a training'
    return ''


def _are_texts(*found: Mapping[str, Any]) -> bool:
    return all(
        type(value) in (int, str)
        for values in found
        for value in values.values()
    )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object; a reader finds all of it or none."""
    with draft_files(path) as [draft]:
        draft.write_text(
            json.dumps(values, indent=1, default=str) + '\n', encoding='utf-8'
        )
