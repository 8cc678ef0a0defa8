"""What the files of a training run say about how far it came.

A run may have been killed at any moment, also in the middle of writing a
checkpoint or between a checkpoint and its validation. Nothing here relies on
the process that wrote the files having said good-bye.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.text_files import parse_json

Metrics = dict[str, float]


@dataclass(frozen=True)
class Schedule:
    """Length of a training and when it validates.

    Args:
        unit: ``'epoch'`` or ``'iter'``, as in the names of checkpoints.
        length: Last epoch or iteration.
        interval: Distance of validations; 0 if there are none.
        first: First epoch or iteration that may validate.
        selects_by: Metric that decides the best checkpoint, or None.
    """

    unit: str
    length: int
    interval: int
    first: int
    selects_by: str | None

    @classmethod
    def of(cls, config: Config) -> Schedule:
        """Read the schedule off a training config."""
        loop = config.train_cfg
        unit = 'epoch' if 'max_epochs' in loop else 'iter'
        hook = config.get('default_hooks', {}).get('checkpoint') or {}
        save_best = hook.get('save_best')
        has_validation = config.get('val_cfg') is not None
        default = 1 if unit == 'epoch' else 1000
        return cls(
            unit,
            int(loop[f'max_{unit}s']),
            int(loop.get('val_interval', default)) if has_validation else 0,
            int(loop.get('val_begin', 1)),
            save_best if isinstance(save_best, str) else None,
        )

    def validates_at(self, step: int) -> bool:
        """Return whether a validation follows this epoch or iteration."""
        return self.interval > 0 and (
            step == self.length
            or (step >= self.first and step % self.interval == 0)
        )


@dataclass(frozen=True)
class Trained:
    """A complete training.

    Args:
        checkpoint: File to test.
        step: Epoch or iteration of the checkpoint.
        validation: Source validation at that step.
    """

    checkpoint: Path
    step: int
    validation: Metrics


def read_validation(folder: Path) -> dict[int, Metrics]:
    """Collect the validations of a run and of those that resumed it.

    Args:
        folder: Work directory of the training.

    Returns:
        Metrics by epoch or iteration; of a repeated one the last.
    """
    history: dict[int, Metrics] = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        text = file.read_text(encoding='utf-8', errors='replace')
        for line in text.splitlines():
            try:
                values = parse_json(line, str(file), allow_nan=True)
            except ValueError:  # cut off in the middle
                continue
            if not isinstance(values, dict) or 'iter' in values:
                continue  # a line of the training itself
            metrics = {
                name: value
                for name, value in values.items()
                if '/' in name and type(value) in (int, float)
            }
            if metrics and type(values.get('step')) is int:
                history[values['step']] = metrics
    return history


def find_resume_point(folder: Path, schedule: Schedule) -> Path | None:
    """Return the newest checkpoint that a run can continue from unharmed.

    It can be read, its validation is recorded, and the best checkpoint that
    it speaks of is there and no worse than that validation.

    Args:
        folder: Work directory of the training.
        schedule: Of the training.

    Returns:
        The checkpoint, or None if the training must start anew.
    """
    point = next(_usable_checkpoints(folder, schedule), None)
    return None if point is None else point[0]


def read_training(
    folder: Path, schedule: Schedule, choice: str
) -> Trained | None:
    """Return the outcome of a training if it is complete.

    Args:
        folder: Work directory of the training.
        schedule: Of the training.
        choice: ``'best'`` checkpoint on source validation, or ``'last'``.
            Without validation the last one is taken either way.

    Returns:
        The outcome, or None if the last epoch or iteration is not done.
    """
    point = next(_usable_checkpoints(folder, schedule), None)
    if point is None or _step(point[0]) != schedule.length:
        return None
    last, info = point
    best = info.get('best_ckpt')
    checkpoint = last
    if choice == 'best' and best is not None:
        checkpoint = folder / Path(best).name
    step = _step(checkpoint)
    return Trained(checkpoint, step, read_validation(folder).get(step, {}))


def prepare_resume(folder: Path, point: Path | None) -> None:
    """Take away what the continued run would trip over.

    Args:
        folder: Work directory of the training.
        point: Checkpoint to continue from. Younger ones are deleted; with
            None the whole attempt is moved to ``aborted-<n>``.
    """
    if point is not None:
        for path in folder.glob('*.pth'):
            if _step(path) > _step(point):
                path.unlink()
        return
    leftovers = [
        path
        for path in folder.iterdir()
        if path.suffix in ('.pth', '.py')
        or path.name == 'last_checkpoint'
        or (path / 'vis_data').is_dir()
    ]
    if not leftovers:
        return
    number = len(list(folder.glob('aborted-*'))) + 1
    attic = folder / f'aborted-{number}'
    attic.mkdir()
    for path in leftovers:
        shutil.move(path, attic / path.name)


def _usable_checkpoints(
    folder: Path, schedule: Schedule
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    validation = read_validation(folder)
    for path in sorted(
        folder.glob(f'{schedule.unit}_*.pth'), key=_step, reverse=True
    ):
        info = _runtime_info(path)
        if info is None:
            continue
        step = _step(path)
        if schedule.validates_at(step) and not _is_validated(
            folder, info, validation.get(step), schedule.selects_by
        ):
            continue
        yield path, info


def _is_validated(
    folder: Path,
    info: Mapping[str, Any],
    metrics: Metrics | None,
    selects_by: str | None,
) -> bool:
    if metrics is None:
        return False
    if selects_by is None or selects_by not in metrics:
        return True
    best, score = info.get('best_ckpt'), info.get('best_score')
    if best is None or score is None or score < metrics[selects_by]:
        return False
    return _runtime_info(folder / Path(best).name) is not None


def _runtime_info(path: Path) -> Mapping[str, Any] | None:
    """Return what the message hub knew, None if the file is no use."""
    try:
        checkpoint = read_checkpoint(path)
        info = checkpoint['message_hub']['runtime_info']
    except (KeyError, OSError, TypeError):
        return None
    return info if isinstance(info, Mapping) else None


def _step(path: Path) -> int:
    """Read the number off a checkpoint's name; -1 if it has none."""
    match = re.search(r'(?:epoch|iter)_(\d+)$', path.stem)
    return int(match[1]) if match else -1
