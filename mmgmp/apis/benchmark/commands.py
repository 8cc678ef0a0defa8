"""The command lines of a cell: MMAction2's own scripts and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        launcher: ``'none'`` or ``'slurm'``, MMEngine's launcher.
        srun: Arguments of ``srun``, for ``'slurm'``.
    """

    python: str
    launcher: str = 'none'
    srun: Sequence[str] = ()

    def script(self, name: str) -> list[str]:
        """Return the command up to and with MMAction2's script."""
        import mmaction

        path = Path(mmaction.__file__).parent / '.mim' / 'tools' / name
        prefix = ['srun', *self.srun] if self.launcher == 'slurm' else []
        return [*prefix, self.python, '-u', str(path)]

    def flags(self) -> list[str]:
        """Return the launcher flag, if it is needed."""
        return [] if self.launcher == 'none' else ['--launcher', self.launcher]


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
