"""What the files of a training say: how far it came, and what it measured.

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

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from mmgmp.utils import log_names
from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.text_files import parse_json, read_columns, warn_once

Metrics = dict[str, float]
#: Columns of ``task_gradients.csv`` by name.
History = Mapping[str, NDArray[np.float64]]

_STEP = re.compile(
    r'(?:Epoch|Iter)\((?P<mode>\w+)\)\s+(?:\[\s*(?P<epoch>\d+)\])?'
    r'\[\s*(?P<step>\d+)/\s*(?P<last>\d+)\]'
)
_ACCURACY = re.compile(r'\bacc/top1: ([\d.]+)')
_TIME_LEFT = re.compile(r'\beta: ((?:\d+ days?, )?[\d:]+)')


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
    """A complete training: which checkpoint to test, and its validation."""

    checkpoint: Path
    step: int
    validation: Metrics


def _read_line(line: str, source: Path) -> tuple[int | None, Metrics] | None:
    """Return step and metrics of a line that a validation or test wrote.

    None if it is cut off, or of the training itself.
    """
    try:
        values = parse_json(line, str(source), allow_nan=True)
    except ValueError:  # cut off in the middle
        return None
    if not isinstance(values, dict) or 'iter' in values:
        return None
    step = values.get('step')
    metrics = {
        name: float(value)
        for name, value in values.items()
        if '/' in name and type(value) in (int, float)
    }
    return (step if type(step) is int else None), metrics


def read_validation(folder: Path) -> dict[int, Metrics]:
    """Collect the validations of a run and of those that resumed it.

    They are by epoch or iteration; of a repeated one the last counts.
    """
    history: dict[int, Metrics] = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        text = file.read_text(encoding='utf-8', errors='replace')
        for line in text.splitlines():
            step, metrics = _read_line(line, file) or (None, {})
            if metrics and step is not None:
                history[step] = metrics
    return history


def read_test(folder: Path) -> Metrics:
    """Return what the newest complete test below a folder measured."""
    for path in sorted(folder.glob('*/*.json'), reverse=True):
        text = path.read_text(encoding='utf-8', errors='replace')
        found = _read_line(text.rstrip().rpartition('\n')[2], path)
        if found is not None:
            return found[1]
        warn_once(f'{path} is no complete result; it is left out')
    return {}


def find_resume_point(folder: Path, schedule: Schedule) -> Path | None:
    """Return the newest checkpoint that a run can continue from unharmed.

    It can be read, its validation is recorded, and the best checkpoint that
    it speaks of is there and no worse than that validation. Without one the
    training must start anew.
    """
    point = next(_usable_checkpoints(folder, schedule), None)
    return None if point is None else point[0]


def read_training(
    folder: Path, schedule: Schedule, choice: str
) -> Trained | None:
    """Return the outcome of a training, None if its end is not reached.

    ``choice`` is the ``'best'`` checkpoint on source validation, or the
    ``'last'``. Without validation the last one is taken either way.
    """
    point = next(_usable_checkpoints(folder, schedule), None)
    if point is None or _step(point[0]) != schedule.length:
        return None
    checkpoint, info = point
    best = info.get('best_ckpt')
    if choice == 'best' and best is not None:
        checkpoint = folder / Path(best).name
    step = _step(checkpoint)
    return Trained(checkpoint, step, read_validation(folder).get(step, {}))


def prepare_resume(folder: Path, point: Path | None) -> None:
    """Take away what a run that continues from a checkpoint would trip over.

    Younger checkpoints are deleted; without a point to continue from the
    whole attempt is moved to ``aborted-<n>``.
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
    if leftovers:
        number = len(list(folder.glob('aborted-*'))) + 1
        attic = folder / f'aborted-{number}'
        attic.mkdir()
        for path in leftovers:
            shutil.move(path, attic / path.name)


def _usable_checkpoints(
    folder: Path, schedule: Schedule
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """From the newest on, each with what its message hub knew."""
    validation = read_validation(folder)
    paths = folder.glob(f'{schedule.unit}_*.pth')
    for path in sorted(paths, key=_step, reverse=True):
        info, step = _runtime_info(path), _step(path)
        if info is None:
            continue
        metrics = validation.get(step)
        if schedule.validates_at(step) and (
            metrics is None
            or not _has_best(
                folder, info, metrics.get(schedule.selects_by or '')
            )
        ):
            continue
        yield path, info


def _has_best(
    folder: Path, info: Mapping[str, Any], reached: float | None
) -> bool:
    """Whether the best checkpoint is there, and no worse than a validation."""
    if reached is None:  # nothing is selected by
        return True
    best, score = info.get('best_ckpt'), info.get('best_score')
    if best is None or score is None or score < reached:
        return False
    return _runtime_info(folder / Path(best).name) is not None


def _runtime_info(path: Path) -> Mapping[str, Any] | None:
    """Return what the message hub knew, None if the file is no use."""
    try:
        info = read_checkpoint(path)['message_hub']['runtime_info']
    except (KeyError, OSError, TypeError):
        return None
    return info if isinstance(info, Mapping) else None


def _step(path: Path) -> int:
    """Read the number off a checkpoint's name; -1 if it has none."""
    match = re.search(r'(?:epoch|iter)_(\d+)$', path.stem)
    return int(match[1]) if match else -1


def read_progress(log: Path) -> str:
    """Say where a stock script is, from the end of its output."""
    if not log.is_file():
        return 'starting'
    with open(log, 'rb') as file:
        file.seek(max(0, log.stat().st_size - 32768))
        return describe_progress(file.read().decode(errors='replace'))


def describe_progress(log: str) -> str:
    """Read epoch, accuracy and time left off what MMEngine logs.

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
    mode, epoch, step, last = steps[-1].groups()
    parts = [] if mode == 'train' else [mode]
    parts += [f'epoch {epoch}'] if epoch else []
    parts.append(f'{step}/{last}')
    if accuracies := _ACCURACY.findall(log):
        parts.append(f'acc/top1 {100 * float(accuracies[-1]):.1f} %')
    if mode == 'train' and (times := _TIME_LEFT.findall(log)):
        parts.append(f'{times[-1]} left')
    return ', '.join(parts)


def read_ratios(folder: Path) -> History:
    """Read the ratios that a training recorded, step by step.

    Empty if none were recorded or the file is damaged, which is logged.
    """
    path = folder / 'task_gradients.csv'
    if not path.is_file():
        return {}
    try:
        history = read_columns(path)
    except ValueError as error:
        warn_once(f'{error}; the report goes without its ratios')
        return {}
    has_ratios = any(map(log_names.ratio_and_modality_of, history))
    has_steps = len(history.get('iteration', ())) > 0
    return history if has_ratios and has_steps else {}


def last_ratios(history: History, schedule: Schedule) -> dict[str, float]:
    """Average each discrepancy ratio over the steps of the last epoch.

    Without epochs, the steps after the last validation but one count. Steps
    where a ratio is not finite are left out; 1 is balance.

    Example:
        >>> history = {'iteration': np.array([1., 2., 3., 4.]),
        ...            'semantic_ratio_video': np.array([9., 9., 1., 2.])}
        >>> last_ratios(history, Schedule('epoch', 2, 1, 1, None))
        {'semantic ratio video': 1.5}
    """
    if not history:
        return {}
    steps = history['iteration']
    share = 1 if schedule.unit == 'epoch' else max(1, schedule.interval)
    is_last = steps > steps.max() * (1 - share / schedule.length)
    means = {}
    for name, values in history.items():
        found = log_names.ratio_and_modality_of(name)
        chosen = values[is_last & np.isfinite(values)]
        if found and len(chosen):
            shown = f'{found[0].replace("_", " ")} {found[1]}'
            means[shown] = float(chosen.mean())
    return means
