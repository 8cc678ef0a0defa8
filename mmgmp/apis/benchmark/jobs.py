"""One process that works on one cell."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
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
from mmgmp.apis.benchmark.executors import (
    LocalProcess,
    Process,
    find_job,
    note_start,
    submit,
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
_TAIL_BYTES = 32768
_STEP = re.compile(
    r'(?:Epoch|Iter)\((?P<mode>\w+)\)\s+(?:\[\s*(?P<epoch>\d+)\])?'
    r'\[\s*(?P<step>\d+)/\s*(?P<last>\d+)\]'
)
_ACCURACY = re.compile(r'\bacc/top1: ([\d.]+)')
_TIME_LEFT = re.compile(r'\beta: ((?:\d+ days?, )?[\d:]+)')


@dataclass
class Job:
    """A stage of a cell that is being worked on.

    Args:
        files: Of its cell.
        stage: What it does.
        slot: Place in the pool that it takes.
        claim: Lock of the cell; a process of this machine holds it, too.
        process: Where it runs.
        started: Value of ``time.monotonic`` at the start.
    """

    files: CellFiles
    stage: str
    slot: int
    claim: IO[str]
    process: Process
    started: float = field(default_factory=time.monotonic)

    def progress(self) -> str:
        """Say where the process is, from the end of its log."""
        return describe_progress(_tail(self.files.log(self.stage)))


def describe_progress(log: str) -> str:
    """Read epoch, accuracy and time left off what MMEngine logs.

    Args:
        log: End of the output of a stock script.

    Example:
        >>> describe_progress('''
        ... Epoch(val) [2][5/5]    acc/top1: 0.6161  acc/top1_video: 0.21
        ... Epoch(train)  [3][20/42]  lr: 1e-4  eta: 0:01:23  time: 0.2
        ... ''')
        'epoch 3, 20/42, acc/top1 61.6 %, 0:01:23 left'
    """
    steps = list(_STEP.finditer(log))
    if not steps:
        return 'starting'
    found = steps[-1].groupdict()
    is_training = found['mode'] == 'train'
    parts = [] if is_training else [found['mode']]
    parts += [f'epoch {found["epoch"]}'] if found['epoch'] else []
    parts.append(f'{found["step"]}/{found["last"]}')
    if accuracies := _ACCURACY.findall(log):
        parts.append(f'acc/top1 {100 * float(accuracies[-1]):.1f} %')
    if is_training and (times := _TIME_LEFT.findall(log)):
        parts.append(f'{times[-1]} left')
    return ', '.join(parts)


def _tail(path: Path) -> str:
    if not path.is_file():
        return ''
    with open(path, 'rb') as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read().decode('utf-8', errors='replace')


def start_job(
    files: CellFiles,
    stage: str,
    claim: IO[str],
    slot: int,
    launch: Launch,
    environment: Mapping[str, str],
) -> Job:
    """Start the process of a stage; its output goes to the stage's log.

    A job that an earlier runner has left with the cell is waited for instead.

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
    left = find_job(files.folder)
    if left is not None:
        process: Process = left
    else:
        command = _command(files, stage, launch)
        log = files.log(stage)
        note_start(log, command)
        process = (
            LocalProcess(command, environment, log, claim)
            if launch.cluster is None
            else submit(
                launch.cluster,
                launch.parameters,
                files.folder,
                command,
                environment,
                log,
            )
        )
    claim.truncate(0)
    claim.write(f'{process.name}\n')
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
        job.process.ask_to_stop()
    deadline = time.monotonic() + _PATIENCE
    for job in jobs:
        job.process.stop(max(0.0, deadline - time.monotonic()))
        job.claim.close()


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
