"""One process that works on one cell."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mmgmp.apis.benchmark.cell_state import CellFiles, read_json
from mmgmp.apis.benchmark.cells import TRAIN
from mmgmp.apis.benchmark.commands import (
    Launch,
    evaluation_command,
    train_command,
)
from mmgmp.apis.benchmark.facts import training_facts
from mmgmp.apis.benchmark.training_state import (
    Metrics,
    find_resume_point,
    prepare_resume,
    read_training,
)
from mmgmp.utils.text_files import parse_json, read_text, warn_once

_PATIENCE = 10.0


@dataclass
class Job:
    """A running process.

    Args:
        files: Of its cell.
        stage: What it does.
        slot: Place in the pool that it takes.
        claim: Lock of the cell; the process holds it, too.
        process: The process, leader of its own group.
        started: Value of ``time.monotonic`` at the start.
    """

    files: CellFiles
    stage: str
    slot: int
    claim: IO[str]
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    def progress(self) -> str:
        """Say where the process is, from what it logs."""
        if self.stage != TRAIN:
            return self.stage
        logs = sorted(self.files.folder.glob('*/vis_data/scalars.json'))
        text = logs[-1].read_text('utf-8', 'replace') if logs else ''
        for line in reversed(text.splitlines()):
            try:
                values = parse_json(line, 'the log', allow_nan=True)
            except ValueError:  # being written
                continue
            if not isinstance(values, dict):
                continue
            if 'epoch' in values:
                return f'epoch {values["epoch"]}'
            return f'step {values.get("step", "?")}'
        return 'starting'


def start_job(
    files: CellFiles,
    stage: str,
    claim: IO[str],
    slot: int,
    launch: Launch,
    environment: Mapping[str, str],
) -> Job:
    """Start the process of a stage; its output goes to the stage's log.

    Args:
        files: Of the cell.
        stage: What to do.
        claim: Lock of the cell.
        slot: Place in the pool.
        launch: How processes are started.
        environment: Variables besides those of this process.

    Returns:
        The running job.
    """
    command = _command(files, stage, launch)
    with open(files.log(stage), 'ab') as log:
        log.write(
            f'\n=== {time.strftime("%Y-%m-%d %H:%M:%S")} '
            f'{shlex.join(command)}\n'.encode()
        )
        log.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            pass_fds=[claim.fileno()],
            start_new_session=True,
        )
    claim.truncate(0)
    claim.write(f'{process.pid}\n')
    claim.flush()
    return Job(files, stage, slot, claim, process)


def _command(files: CellFiles, stage: str, launch: Launch) -> list[str]:
    if stage == TRAIN:
        point = find_resume_point(files.folder, files.schedule())
        prepare_resume(files.folder, point)
        return train_command(files, launch, point)
    trained = read_json(files.stage_file(TRAIN)) or {}
    checkpoint = files.folder / trained['checkpoint']
    return evaluation_command(files, launch, stage, checkpoint)


def stop_jobs(jobs: Iterable[Job]) -> None:
    """End processes and those that they started.

    Args:
        jobs: Running jobs; they are asked first and killed after 10 s.
    """
    jobs = list(jobs)
    for job in jobs:
        _signal(job, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    for job in jobs:
        try:
            job.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(job, signal.SIGKILL)
            job.process.wait()
        job.claim.close()


def _signal(job: Job, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(job.process.pid, number)


def finish_stage(files: CellFiles, stage: str, is_here: bool = True) -> bool:
    """Mark a stage as complete if its files say that it is.

    Args:
        files: Of the cell.
        stage: What was done.
        is_here: Whether it was done on this machine.

    Returns:
        Whether it is complete.
    """
    if stage != TRAIN:
        metrics = _newest_metrics(files.stage_folder(stage))
        if metrics:
            files.write_stage(stage, {'metrics': metrics})
        return bool(metrics)
    trained = read_training(
        files.folder, files.schedule(), files.plan.checkpoint
    )
    if trained is None:
        return False
    files.write_stage(
        TRAIN,
        {
            'checkpoint': trained.checkpoint.name,
            'step': trained.step,
            'metrics': trained.validation,
            'choice': files.plan.checkpoint,
            'facts': training_facts(files, is_here),
        },
    )
    return True


def tidy(files: CellFiles) -> None:
    """Delete the checkpoints that a finished cell needs no more.

    Args:
        files: Of the cell; a plan with ``keep: all`` keeps them.
    """
    trained = read_json(files.stage_file(TRAIN))
    if files.plan.keep == 'best' and trained is not None:
        for path in files.folder.glob('*.pth'):
            if path.name != trained['checkpoint']:
                path.unlink()


def _newest_metrics(folder: Path) -> Metrics:
    for path in sorted(folder.glob('*/*.json'), reverse=True):
        try:
            line = read_text(path).rstrip().rpartition('\n')[2]
            values = parse_json(line, str(path), allow_nan=True)
        except ValueError as error:  # cut off
            warn_once(f'{error}; it is left out')
            continue
        if isinstance(values, dict):
            return {
                name: float(value)
                for name, value in values.items()
                if '/' in name and type(value) in (int, float)
            }
    return {}
