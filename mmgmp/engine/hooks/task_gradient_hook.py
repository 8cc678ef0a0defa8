"""Log what happens to the task gradients, and draw it after training."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import get_object_from_string
from numpy.typing import NDArray

from mmgmp.engine.hooks.run_summary_hook import run_title
from mmgmp.registry import HOOKS
from mmgmp.utils import draft_files, log_names

# Not below 'train/', so that it stays out of the log lines; it is a scalar of
# the message hub, so that it is in the checkpoint. So are the names.
_ITERATION = 'task_gradients/iteration'
_NAMES = 'task_gradients/names'
_VALIDATED = 'task_gradients/validated'
_DISCRIMINATOR = (log_names.DOMAIN_ACCURACY, log_names.DOMAIN_CHANCE)


@HOOKS.register_module()
class TaskGradientHook(Hook):
    """Record ratios, coefficients, conflicts and norms per modality.

    The optimizer wrapper offers ``read_diagnostics()``: the numbers of its
    last optimizer step by name (``semantic_ratio_video``), empty when there
    was no step since the last reading. They go to the message hub as
    ``train/<name>`` before the logger writes its line, so every
    visualisation backend gets them, and into every checkpoint with it, so
    that a resumed run continues its curves. A wrapper without that method,
    as MMEngine's own, records nothing.

    After training, rank 0 writes ``task_gradients.csv`` (one row per recorded
    step) and ``ratio_curves.png`` to the run's work directory. With them go
    the losses and accuracies of these steps, the accuracy of the domain
    discriminator against chance when the model logs ``domain_accuracy`` and
    ``domain_chance``, and the top-1 of each validation. A run that
    was killed behind its last checkpoint gets them when it is resumed,
    though nothing is left to train; files that are complete are left alone.

    A value that is not finite is warned about at its first occurrence, with
    task, modality and iteration, and counted after training. The cosine and
    the effective lambda are not: they have no value where a gradient is
    exactly zero, and the norms tell.

    Args:
        interval: Iterations between readings, >= 1. A reading copies a few
            numbers from the device and waits for it; what happened between
            two readings is not recorded.
        plot: Whether to draw ``ratio_curves.png``.
        plotter: Full name of the function that draws, called with the
            histories by name, the path, and ``title``.

    Raises:
        ValueError: If ``interval`` is not a positive integer or ``plotter``
            names nothing.

    Example:
        >>> hook = dict(type='TaskGradientHook', interval=10)  # in a config
        >>> HOOKS.get(hook['type'])(interval=hook['interval']).interval
        10

    Source: GMP (arXiv 2603.14175), Fig. 5 plots both ratios over training.
    """

    # Ahead of LoggerHook (BELOW_NORMAL), behind RuntimeInfoHook (VERY_HIGH).
    priority = 'NORMAL'

    def __init__(
        self,
        interval: int = 1,
        plot: bool = True,
        plotter: str = 'mmgmp.visualization.plot_training_curves',
    ) -> None:
        if not isinstance(interval, int) or interval < 1:
            raise ValueError(
                f'interval must be an integer >= 1, got {interval!r}; set '
                'interval of TaskGradientHook, 1 records every step'
            )
        self.interval = interval
        # By name: rooms of one level do not import each other.
        self.plotter = get_object_from_string(plotter) if plot else None
        if plot and not callable(self.plotter):
            raise ValueError(
                f'plotter must name a function, got {plotter!r}, which '
                'cannot be imported; correct it or set plot=False'
            )
        self._names: dict[str, None] = {}
        self._reported: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Take up what was recorded; say once if there is nothing to.

        Args:
            runner: Runner of the training.
        """
        scalars = runner.message_hub.log_scalars
        self._names = {
            name: None
            for name in runner.message_hub.runtime_info.get(_NAMES, ())
            if log_names.in_training(name) in scalars
        }
        if not hasattr(runner.optim_wrapper, 'read_diagnostics'):
            runner.logger.debug(
                f'TaskGradientHook: {type(runner.optim_wrapper).__name__} '
                'has no read_diagnostics, no task gradients are recorded'
            )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict | None = None,  # noqa: ARG002
    ) -> None:
        """Record the diagnostics of the last optimizer step.

        Args:
            runner: Runner of the training.
            batch_idx: Not used.
            data_batch: Not used.
            outputs: Not used.
        """
        read = getattr(runner.optim_wrapper, 'read_diagnostics', None)
        if read is None or not self.every_n_train_iters(runner, self.interval):
            return
        diagnostics = read()
        if not diagnostics:
            return
        iteration = runner.iter + 1
        runner.message_hub.update_scalar(_ITERATION, iteration)
        self._names.update(dict.fromkeys(diagnostics))
        runner.message_hub.update_info(_NAMES, list(self._names))
        for name, value in diagnostics.items():
            runner.message_hub.update_scalar(
                log_names.in_training(name), value
            )
            if _is_alarming(name, value) and name not in self._reported:
                self._reported.add(name)
                runner.logger.warning(_alarm(name, value, iteration))

    def after_train_epoch(self, runner: Runner) -> None:
        """Pass on what a strategy has to say about the epoch.

        Args:
            runner: Runner of the training.
        """
        for name in ('modulation', 'projection'):
            strategy = getattr(runner.optim_wrapper, name, None)
            remark = strategy.epoch_remark() if strategy else ''
            if remark:
                runner.logger.warning(remark)

    def after_val_epoch(
        self,
        runner: Runner,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Remember when a validation was.

        Args:
            runner: Runner of the training.
            metrics: Results of the validation.
        """
        if log_names.VALIDATION_KEY.partition('/')[2] in (metrics or {}):
            runner.message_hub.update_scalar(_VALIDATED, runner.iter)

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Write the table and the figure, and count non-finite values.

        Args:
            runner: Runner of the training.
        """
        histories = self._histories(runner)
        if len(histories) == 1:
            return
        table = Path(runner.work_dir) / 'task_gradients.csv'
        figure = Path(runner.work_dir) / 'ratio_curves.png'
        is_drawn = self.plotter is None or figure.is_file()
        # Resuming a finished run must not overwrite what it has drawn.
        if is_drawn and _last_iteration(table) == histories['iteration'][-1]:
            return
        self._count_non_finite(runner)
        # The table last: where it is complete, the figure is.
        if self.plotter is not None:
            draft = figure.with_name(f'.{figure.name}')
            self.plotter(histories, draft, title=run_title(runner))
            os.replace(draft, figure)
            runner.logger.info(f'Ratio curves are drawn in {figure}')
        with draft_files(table) as [draft]:
            _write_table(histories, draft)
        runner.logger.info(f'Task gradients are written to {table}')

    def _count_non_finite(self, runner: Runner) -> None:
        for name in self._names:
            scalars = runner.message_hub.log_scalars
            values = scalars[log_names.in_training(name)].data[0]
            count = sum(_is_alarming(name, value) for value in values)
            if count:
                runner.logger.warning(
                    f'{name} was not finite in {count} of {len(values)} '
                    'recorded steps'
                )

    def _histories(self, runner: Runner) -> dict[str, NDArray[np.float64]]:
        scalars = runner.message_hub.log_scalars
        iterations = np.arange(1, runner.iter + 1)
        if self._names:
            iterations = scalars[_ITERATION].data[0].astype(int)
        histories = {'iteration': iterations.astype(float)}
        for name in self._names:
            values = scalars[log_names.in_training(name)].data[0]
            position = np.arange(len(iterations)) - len(iterations)
            histories[name] = _from_the_end(values, position)
        _add_per_iteration(histories, runner, _DISCRIMINATOR)
        if len(histories) > 1:
            start = log_names.in_training('')
            names = [
                name.removeprefix(start)
                for name in scalars
                if name.startswith(start)
            ]
            losses = [name for name in names if log_names.loss_term_of(name)]
            _add_per_iteration(
                histories, runner, [*losses, log_names.ACCURACY]
            )
            histories.update(_validations(runner, iterations))
        return histories


def _add_per_iteration(
    histories: dict[str, NDArray[np.float64]],
    runner: Runner,
    names: Iterable[str],
) -> None:
    """Add what is logged in every iteration, where it is recorded."""
    scalars = runner.message_hub.log_scalars
    position = histories['iteration'].astype(int) - runner.iter - 1
    for name in names:
        if log_names.in_training(name) in scalars:
            values = scalars[log_names.in_training(name)].data[0]
            histories[name] = _from_the_end(values, position)


def _validations(
    runner: Runner, iterations: NDArray[np.int_]
) -> dict[str, NDArray[np.float64]]:
    """Top-1 at the last recorded step before each validation, else NaN."""
    scalars = runner.message_hub.log_scalars
    if _VALIDATED not in scalars:
        return {}
    steps = scalars[_VALIDATED].data[0]
    rows = np.searchsorted(iterations, steps, side='right') - 1
    found = {}
    for name in scalars:
        branch = log_names.modality_of(name, log_names.VALIDATION_KEY)
        if branch is None and name != log_names.VALIDATION_KEY:
            continue
        values = _from_the_end(
            scalars[name].data[0], np.arange(len(steps)) - len(steps)
        )
        column = np.full(len(iterations), np.nan)
        column[rows[rows >= 0]] = values[rows >= 0]
        short = log_names.VALIDATION
        found[log_names.of_modality(short, branch) if branch else short] = (
            column
        )
    return found


def _write_table(
    histories: dict[str, NDArray[np.float64]], path: Path
) -> None:
    np.savetxt(
        path,
        np.stack(list(histories.values()), axis=1),
        fmt='%.9g',
        delimiter=',',
        header=','.join(histories),
        comments='',
    )


def _last_iteration(table: Path) -> float | None:
    """Iteration in the last row of a table, None if there is none."""
    if not table.is_file():
        return None
    lines = table.read_text('utf-8', errors='replace').splitlines()
    try:
        return float(lines[-1].partition(',')[0])
    except (IndexError, ValueError):
        return None


def _is_alarming(name: str, value: float) -> bool:
    return not math.isfinite(value) and not log_names.may_be_undefined(name)


def _alarm(name: str, value: float, iteration: int) -> str:
    norm = log_names.task_and_modality_of(name)
    subject = name
    if norm:
        subject = f'the {norm[0]} gradient norm of {norm[1]!r}'
    return (
        f'{subject} is {value} at iteration {iteration}. A loss scaler skips '
        'such a step, as it does now and then; without one, or if it goes '
        'on, the run has diverged: lower the learning rate or set '
        'optim_wrapper.clip_grad. Further ones are counted after training'
    )


def _from_the_end(
    values: NDArray[np.float64], position: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Take entries by negative index; NaN where the history is too short.

    Example:
        >>> _from_the_end(np.array([1.0, 2.0]), np.array([-3, -2, -1]))
        array([nan,  1.,  2.])
    """
    start = -len(values)
    return np.where(
        position >= start, values[np.maximum(position, start)], np.nan
    )
