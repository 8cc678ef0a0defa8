"""The command lines of a cell: MMAction2's own scripts and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.cells import TEST, TRAIN
from mmgmp.apis.benchmark.options import spell


@dataclass(frozen=True)
class Launch:
    """How processes are started.

    Args:
        python: Interpreter.
        cluster: ``'slurm'`` or ``'local'``, submitit's executors; None runs
            processes here.
        parameters: Of submitit, such as ``slurm_partition``,
            ``gpus_per_node``, ``tasks_per_node``, ``nodes``.
    """

    python: str
    cluster: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def script(self, name: str) -> list[str]:
        """Return the command up to and with MMAction2's script."""
        import mmaction

        path = Path(mmaction.__file__).parent / '.mim' / 'tools' / name
        return [self.python, '-u', str(path)]

    def flags(self) -> list[str]:
        """Return MMEngine's launcher, which several tasks need."""
        per_node = int(self.parameters.get('tasks_per_node', 1))
        num_tasks = per_node * int(self.parameters.get('nodes', 1))
        return ['--launcher', 'slurm'] if num_tasks > 1 else []


def train_command(
    files: CellFiles, launch: Launch, resume: Path | None = None
) -> list[str]:
    """Build the command that trains a cell.

    Args:
        files: Of the cell.
        launch: How processes are started.
        resume: Checkpoint to continue from.
    """
    cell = files.cell
    return [
        *launch.script('train.py'),
        str(cell.config),
        '--work-dir',
        str(files.stage_folder(TRAIN)),
        '--seed',
        str(cell.seed),
        *(['--resume', str(resume)] if resume else []),
        *launch.flags(),
        *(['--amp'] if files.plan.amp else []),
        *_cfg_options(cell.overrides),
    ]


def evaluation_command(
    files: CellFiles, launch: Launch, stage: str, checkpoint: str | Path
) -> list[str]:
    """Build the command of one evaluation.

    Args:
        files: Of the cell.
        launch: How processes are started.
        stage: ``'test'`` or the name of a further evaluation.
        checkpoint: File to test.

    Returns:
        The command.
    """
    overrides = dict(files.cell.overrides)
    if stage != TEST:
        overrides.update(files.plan.evaluations[stage])
    folder = files.stage_folder(stage)
    return [
        *launch.script('test.py'),
        str(files.cell.config),
        str(checkpoint),
        '--work-dir',
        str(folder),
        '--dump',
        str(folder / 'predictions.pkl'),
        *launch.flags(),
        *_cfg_options(overrides),
    ]


def _cfg_options(overrides: dict[str, Any]) -> list[str]:
    if not overrides:
        return []
    return [
        '--cfg-options',
        *(f'{key}={spell(value)}' for key, value in overrides.items()),
    ]
