"""One process that works on one cell, with MMAction2's own scripts."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.cells import TRAIN
from mmgmp.apis.benchmark.options import cfg_options
from mmgmp.apis.benchmark.processes import (
    Launch,
    Process,
    find_job,
    start_process,
)
from mmgmp.apis.training_facts import training_facts
from mmgmp.apis.training_files import (
    find_resume_point,
    prepare_resume,
    read_test,
    read_training,
)
from mmgmp.utils.folder_lock import write_holder

_PATIENCE = 10.0


@dataclass
class Job:
    """A stage of a cell that is being worked on, in a slot of the pool.

    A process of this machine holds the claim of the cell, too.
    """

    files: CellFiles
    stage: str
    slot: int
    claim: IO[str]
    process: Process
    started: float = field(default_factory=time.monotonic)


def train_command(
    files: CellFiles, launch: Launch, resume: Path | None = None
) -> list[str]:
    """Build the command that trains a cell, from a checkpoint on if given."""
    words = ['--work-dir', files.folder, '--seed', files.cell.seed]
    words += ['--resume', resume] if resume else []
    return [
        *launch.command('train.py', files.cell.config, *words),
        *(['--amp'] if files.plan.amp else []),
        *cfg_options(files.overrides(TRAIN)),
    ]


def evaluation_command(
    files: CellFiles, launch: Launch, stage: str, checkpoint: str | Path
) -> list[str]:
    """Build the command of one evaluation of a checkpoint."""
    folder = files.stage_folder(stage)
    words = [checkpoint, '--work-dir', folder]
    words += ['--dump', folder / 'predictions.pkl']
    return [
        *launch.command('test.py', files.cell.config, *words),
        *cfg_options(files.overrides(stage)),
    ]


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
    """
    process: Process | None = find_job(files.folder)
    if process is None:
        command, log = _command(files, stage, launch), files.log(stage)
        with open(log, 'a', encoding='utf-8') as file:
            now = time.strftime('%Y-%m-%d %H:%M:%S')
            file.write(f'\n=== {now} {shlex.join(command)}\n')
        process = start_process(launch, command, environment, log, claim)
    write_holder(claim, process.name)
    return Job(files, stage, slot, claim, process)


def _command(files: CellFiles, stage: str, launch: Launch) -> list[str]:
    if stage == TRAIN:
        point = find_resume_point(files.folder, files.schedule())
        prepare_resume(files.folder, point)
        return train_command(files, launch, point)
    trained = files.read(TRAIN) or {}
    checkpoint = files.folder / trained['checkpoint']
    return evaluation_command(files, launch, stage, checkpoint)


def stop_jobs(jobs: Collection[Job]) -> None:
    """Ask processes, and those that they started, to end; kill after 10 s."""
    for job in jobs:
        job.process.ask_to_stop()
    deadline = time.monotonic() + _PATIENCE
    for job in jobs:
        job.process.stop(max(0.0, deadline - time.monotonic()))
        job.claim.close()


def finish_stage(files: CellFiles, stage: str, is_here: bool) -> bool:
    """Mark a stage as complete if its files say so; return whether they do.

    ``is_here`` says whether it was done on this machine.
    """
    if stage != TRAIN:
        metrics = read_test(files.stage_folder(stage))
        if metrics:
            files.write_stage(stage, {'metrics': metrics})
        return bool(metrics)
    choice = files.plan.checkpoint
    trained = read_training(files.folder, files.schedule(), choice)
    if trained is not None:
        values = {
            'checkpoint': trained.checkpoint.name,
            'step': trained.step,
            'metrics': trained.validation,
            'choice': choice,
            'facts': training_facts(files.config(), files.log(TRAIN), is_here),
        }
        files.write_stage(TRAIN, values)
    return trained is not None


def tidy(files: CellFiles) -> None:
    """Delete the checkpoints that a finished cell needs no more."""
    trained = files.read(TRAIN)
    if files.plan.keep == 'best' and trained is not None:
        for path in files.folder.glob('*.pth'):
            if path.name != trained['checkpoint']:
                path.unlink()
