"""Curves of one training run, or of several over each other.

A history is a mapping of names to arrays of equal length, such as the columns
of ``task_gradients.csv``; ``iteration`` gives the horizontal axis (1..n where
it is missing). Several runs are a mapping of run names to histories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmgmp.utils.plain_text import figure_text
from mmgmp.visualization.curve_styles import (
    Style,
    Styles,
    choose_styles,
    explain_panel,
    explain_runs,
)
from mmgmp.visualization.panels import (
    RATIO_PANELS,
    TRAINING_PANELS,
    History,
    Panel,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Histories = History | Mapping[str, History]

_PANEL_INCHES = (4.6, 3.0)
_FAINT: Style = {'label': None, 'alpha': 0.25, 'linewidth': 0.5, 'zorder': 1}


def plot_ratio_curves(
    histories: Histories,
    path: str | Path | None = None,
    *,
    title: str = '',
    window: int | None = None,
) -> Figure:
    """Draw rho and sigma of every modality over training, with a line at 1.

    Args:
        histories: One history with ``semantic_ratio_<modality>`` and
            ``domain_ratio_<modality>``, or several by run name: one run has
            a colour per modality, several have a colour per run.
        path: File to write; its suffix (``.png``, ``.svg``, ``.pdf``) is the
            format. ``None`` writes nothing.
        title: Text above the figure.
        window: Number of recorded points in the trailing mean, >= 1;
            ``None`` takes 2 % of the longest curve. Non-finite values stay
            gaps.

    Returns:
        The figure. It is not registered with pyplot, so nothing leaks.

    Raises:
        ValueError: If no curve is found, lengths differ, ``window`` < 1, or
            there are more runs than can be told apart.

    Example:
        >>> figure = plot_ratio_curves({'semantic_ratio_video': [2.0, 1.5]})
        >>> [axes.get_title() for axes in figure.axes]
        ['Semantic discrepancy ratio']

    Source: GMP (arXiv 2603.14175), Fig. 5; the smoothing is this project's.
    """
    return _plot(RATIO_PANELS, histories, path, title, window)


def plot_training_curves(
    histories: Histories,
    path: str | Path | None = None,
    *,
    title: str = '',
    window: int | None = None,
) -> Figure:
    """Draw what is there of all that is recorded about the task gradients.

    Losses and accuracies, ratios, coefficients, gradient norms, the
    effective lambda, the scale of the update, the rate of conflicts, cosines
    and the discriminator. Where several runs are drawn, a line below each
    pair of axes says which are missing there, and why.

    Args:
        histories: As in :func:`plot_ratio_curves`, with the further names
            that ``read_diagnostics`` of the optimizer wrapper gives
            (``conflict_<modality>``, ``effective_lambda_<modality>``, ...),
            ``domain_accuracy`` and ``domain_chance``, losses (``loss``,
            ``loss_cls``, ...), ``accuracy``, and where there was a
            validation ``validation_top1`` and that of each modality's branch.
        path: File to write, see :func:`plot_ratio_curves`.
        title: Text above the figure.
        window: Trailing mean, see :func:`plot_ratio_curves`. Conflict is 0 or
            1 per step; ``None`` takes its mean over 10 % of the curve, which
            is the rate of conflicts.

    Returns:
        The figure.

    Raises:
        ValueError: As in :func:`plot_ratio_curves`.

    Example:
        >>> figure = plot_training_curves({'conflict_audio': [0, 1, 1]})
        >>> [axes.get_title() for axes in figure.axes]
        ['Conflict rate']
    """
    return _plot(TRAINING_PANELS, histories, path, title, window)


def _plot(
    panels: Sequence[Panel],
    histories: Histories,
    path: str | Path | None,
    title: str,
    window: int | None,
) -> Figure:
    from matplotlib.figure import Figure

    if window is not None and window < 1:
        raise ValueError(
            f'window must be >= 1 recorded points, got {window}; 1 draws the '
            'values as they are'
        )
    runs = _as_runs(histories)
    panels = _drawable(panels, runs)
    styles = choose_styles(runs, panels)
    columns = min(3 if len(panels) > 4 else 2, len(panels))
    rows = -(-len(panels) // columns)
    width, height = _PANEL_INCHES
    size = (width * columns, height * rows + 0.6)
    figure = Figure(size, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, axis in zip(panels, axes, strict=False):
        _draw(panel, axis, runs, styles, window)
        explain_panel(panel, axis, runs)
    for spare in axes[len(panels) :]:
        spare.remove()
    if title:
        figure.suptitle(figure_text(title))
    explain_runs(figure, styles, columns)
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure


def _drawable(
    panels: Sequence[Panel], runs: Mapping[str, History]
) -> list[Panel]:
    """Those for which a run has a curve."""
    found = [p for p in panels if any(p.curves(h) for h in runs.values())]
    if not found:
        raise ValueError(
            'histories must hold a curve to draw, such as '
            f'semantic_ratio_video, got {_names(runs)}; train with a '
            'TaskGradientHook'
        )
    return found


def _draw(
    panel: Panel,
    axis: Axes,
    runs: Mapping[str, Mapping[str, NDArray[np.float64]]],
    styles: Styles,
    window: int | None,
) -> None:
    if panel.target is not None:
        axis.axhline(panel.target, color='0.4', linewidth=1, linestyle='--')
    widths, spans = {1}, []
    for run, history in runs.items():
        for label, name in panel.curves(history).items():
            style, values = styles.of(panel, run, label), history[name]
            steps = history.get('iteration', np.arange(1, len(values) + 1))
            if panel.dots:
                known = np.isfinite(values)
                style = {**style, 'marker': 'o', 'markersize': 4}
                axis.plot(steps[known], values[known], **style)
                continue
            width = window or max(1, round(panel.share * len(values)))
            mean = _trailing_mean(values, width)
            if panel.raw and width > 1 and len(runs) == 1:
                axis.plot(steps, values, **{**style, **_FAINT})
                spans.append(_bulk(values))
            axis.plot(steps, mean, **style)
            spans.append(mean)
            widths.add(width)
    axis.set(
        title=panel.title,
        xlabel='training iteration',
        ylabel=panel.ylabel.format(window=max(widths)),
    )
    axis.set_xlim(_steps(runs))
    axis.locator_params(axis='x', nbins=5)
    axis.set_ylim(panel.limits or _limits(spans, panel.target))


def _steps(
    runs: Mapping[str, Mapping[str, NDArray[np.float64]]],
) -> tuple[float, float]:
    """Range of the horizontal axis, the same in all panels."""
    last = max(
        float(history['iteration'].max())
        if 'iteration' in history
        else len(next(iter(history.values())))
        for history in runs.values()
    )
    return -0.02 * last, 1.02 * last


def _bulk(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that the axes must show: all but a few outliers."""
    finite = values[np.isfinite(values)]
    return np.percentile(finite, (1, 99)) if len(finite) else finite


def _limits(
    spans: Sequence[NDArray[np.float64]], target: float | None
) -> tuple[float, float] | None:
    """Range that no single outlier stretches, None to leave it alone."""
    values = np.concatenate([np.empty(0), *spans])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    ends = [values.min(), values.max()]
    ends += [] if target is None else [target]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def _trailing_mean(
    values: NDArray[np.float64], width: int
) -> NDArray[np.float64]:
    """Mean of the finite ones of the last ``width`` values.

    What is not finite is a gap, and so is the beginning, where the mean
    would be over less than half of them.

    Example:
        >>> _trailing_mean(np.array([2.0, 4.0, np.nan, 8.0]), 2)
        array([ 2.,  3., nan,  8.])
    """
    finite = np.isfinite(values)
    ones = np.ones(width)
    total = np.convolve(np.where(finite, values, 0.0), ones)[: len(values)]
    count = np.convolve(finite.astype(float), ones)[: len(values)]
    begun = np.arange(1, len(values) + 1) >= min(width, len(values)) / 2
    return np.where(finite & begun, total / np.maximum(count, 1), np.nan)


def _as_runs(
    histories: Histories,
) -> dict[str, dict[str, NDArray[np.float64]]]:
    several = any(isinstance(value, Mapping) for value in histories.values())
    runs: Mapping[str, Any] = histories if several else {'': histories}
    arrays = {
        run: {
            name: np.asarray(values, dtype=np.float64)
            for name, values in history.items()
        }
        for run, history in runs.items()
    }
    for run, history in arrays.items():
        shapes = {name: values.shape for name, values in history.items()}
        if len(set(shapes.values())) > 1 or any(
            len(shape) != 1 for shape in shapes.values()
        ):
            raise ValueError(
                'the curves of a run must be vectors of one length, got '
                f'{shapes}{f" in run {run!r}" if run else ""}; fill what is '
                'missing with NaN'
            )
    return arrays


def _names(runs: Mapping[str, History]) -> list[str]:
    return sorted({name for history in runs.values() for name in history})
