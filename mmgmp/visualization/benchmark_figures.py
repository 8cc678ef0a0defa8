"""Figures of a benchmark: bars with error bars, and heat maps."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmgmp.utils.plain_text import figure_text
from mmgmp.visualization.palette import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Mean and deviation; a deviation of None draws no error bar.
Bars = Mapping[str, Mapping[str, tuple[float, 'float | None']]]


def plot_bars(
    bars: Bars,
    title: str = '',
    ylabel: str = '',
    order: Sequence[str] = (),
) -> Figure:
    """Draw one group of bars per column, one bar per method in it.

    Args:
        bars: Mean and deviation by method and column, in the units of
            ``ylabel``.
        title: Text above the axes.
        ylabel: Quantity on the vertical axis.
        order: Names by which colours are given, for several figures in
            which a method keeps its colour; by default those of ``bars``.

    Returns:
        The figure, not registered with pyplot.

    Raises:
        ValueError: If there is nothing to draw.

    Example:
        >>> figure = plot_bars({'ERM': {'H': (50.0, 1.0), 'A': (40.0, None)}})
        >>> len(figure.axes[0].patches)
        2
    """
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(c for by in bars.values() for c in by))
    if not columns:
        raise ValueError('bars must hold at least one number, got none')
    width = 0.8 / len(bars)
    figure = Figure(
        (max(4.6, 0.35 * len(bars) * len(columns) + 1.5), 3.4),
        layout='constrained',
    )
    axis = figure.subplots()
    looks = {m: n for n, m in enumerate(dict.fromkeys([*order, *bars]))}
    for number, (method, by_column) in enumerate(bars.items()):
        places = [
            columns.index(c) + (number - (len(bars) - 1) / 2) * width
            for c in by_column
        ]
        axis.bar(
            places,
            [mean for mean, _ in by_column.values()],
            width * 0.92,
            yerr=[std or np.nan for _, std in by_column.values()],
            capsize=2,
            label=figure_text(method),
            color=COLOURS[looks[method] % len(COLOURS)],
            hatch='/' * (looks[method] // len(COLOURS)),
        )
    axis.set_xticks(range(len(columns)), map(figure_text, columns))
    axis.set(title=figure_text(title), ylabel=ylabel)
    figure.legend(loc='outside lower center', ncols=3, frameon=False)
    return figure


def plot_heat_map(
    values: ArrayLike,
    rows: Sequence[object],
    columns: Sequence[object],
    labels: tuple[str, str] = ('', ''),
    title: str = '',
    decimals: int = 1,
) -> Figure:
    """Draw a matrix with its numbers written into it.

    Args:
        values: Shape ``(R, C)``; NaN stays blank.
        rows: Name of each row.
        columns: Name of each column.
        labels: Quantity of the rows and of the columns.
        title: Text above the axes.
        decimals: Digits after the point.

    Returns:
        The figure, not registered with pyplot.

    Raises:
        ValueError: If the shape does not fit the names.

    Example:
        >>> figure = plot_heat_map([[1.0, 2.0]], ['a'], ['b', 'c'])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1.0', '2.0']
    """
    from matplotlib.figure import Figure

    matrix = np.asarray(values, dtype=float)
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError(
            f'values must have the shape {(len(rows), len(columns))} of its '
            f'names, got {matrix.shape}'
        )
    figure = Figure(
        (0.62 * len(columns) + 2.2, 0.5 * len(rows) + 1.6),
        layout='constrained',
    )
    axis = figure.subplots()
    image = axis.imshow(matrix, cmap='cividis', aspect='auto')
    axis.set_xticks(
        range(len(columns)), map(figure_text, columns), rotation=45, ha='right'
    )
    axis.set_yticks(range(len(rows)), map(figure_text, rows))
    axis.set(
        title=figure_text(title),
        ylabel=figure_text(labels[0]),
        xlabel=figure_text(labels[1]),
    )
    _write_numbers(axis, matrix, decimals)
    figure.colorbar(image)
    return figure


def _write_numbers(
    axis: Axes, matrix: NDArray[np.float64], decimals: int
) -> None:
    """Write each number into its cell, dark on light and light on dark."""
    middle = np.nanmean([np.nanmin(matrix), np.nanmax(matrix)])
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            axis.text(
                column,
                row,
                f'{value:.{decimals}f}',
                ha='center',
                va='center',
                color='black' if value > middle else 'white',
                fontsize=8,
            )


def save_figure(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure as PNG and as SVG.

    Args:
        figure: The figure.
        path: File name; its ending is replaced.

    Returns:
        The two files.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_suffix('.png'), path.with_suffix('.svg')]
    for file in files:
        figure.savefig(file, dpi=150)
    return files


def to_svg(figure: Figure, salt: str) -> str:
    """Write a figure as an SVG element that can stand inside a page.

    Args:
        figure: The figure.
        salt: Different for each figure of a page, so that their ids are.

    Returns:
        The ``<svg>`` element, the same for the same figure.

    Example:
        >>> to_svg(plot_bars({'ERM': {'H': (1.0, None)}}), 'a')[:4]
        '<svg'
    """
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({'svg.hashsalt': salt, 'svg.fonttype': 'path'}):
        figure.savefig(text, format='svg', metadata={'Date': None})
    svg = text.getvalue()
    return svg[svg.index('<svg') :]
