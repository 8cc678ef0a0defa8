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
from mmgmp.apis.benchmark.cell_folder import CellFolder, write_json
from mmgmp.apis.benchmark.cells import SOURCE, TRAIN
from mmgmp.apis.benchmark.rows import fill_checkpoints
from mmgmp.apis.training_files import Metrics, Schedule
from mmgmp.utils.protocol import (
    Protocol,
    read_protocol,
    resolve_protocol,
)

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


class CellFiles(CellFolder):
    """Read and write the files of one cell."""

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

    def average(self) -> str:
        """Say which average of the weights is tested, ``''`` for none."""
        if self.cell.ensemble is not None:
            return ''
        return find_average(self._merged(TRAIN))

    def trained_targets(self) -> list[str]:
        """Return the targets that went into the weights: of an oracle."""
        found = [name for n in self.needs() for name in n.trained_targets()]
        protocol = self._protocol()
        if protocol is not None and not protocol.in_domain:
            found += [t for t in protocol.target if t in protocol.trained]
        return list(dict.fromkeys(found))

    def is_in_domain(self) -> bool:
        """Return whether what is tested is of the domains trained on."""
        protocol = self._protocol()
        is_own = protocol is not None and protocol.in_domain
        return is_own or any(need.is_in_domain() for need in self.needs())

    def _protocol(self) -> Protocol | None:
        config = {} if self.cell.ensemble else self._merged(TRAIN)
        if config.get('protocol') is None:
            return None
        order = list((config.get('model') or {}).get('encoders') or ())
        return read_protocol(config['protocol'], order)

    def schedule(self) -> Schedule:
        """Return the schedule of the training."""
        return Schedule.of(self.config())

    def state(self) -> State:
        """Derive the state; a cell in work elsewhere counts as interrupted."""
        stage = self.next_stage()
        if stage is None:
            return State.DONE
        if self.read('failure') is not None or self._failed_need():
            return State.FAILED
        has_begun = stage == TRAIN and self.read('cell') is not None
        return State.INTERRUPTED if has_begun else State.PENDING

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
