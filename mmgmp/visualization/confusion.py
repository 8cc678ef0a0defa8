"""Confusion matrices, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mmgmp.utils.plain_text import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERS = 20


def plot_confusion(
    counts: ArrayLike, names: Sequence[str], title: str = ''
) -> Figure:
    r"""Draw how often which class is taken for which.

    A cell is coloured by the share of its true class, and says count and
    share as far as there are at most 20 classes. Rows without a sample are
    hatched and say so: nothing is known of their classes, which is not the
    same as 0 %.

    Args:
        counts: Samples by true class (rows) and predicted class (columns),
            ``(K, K)``, integers >= 0.
        names: Names of the K classes.
        title: Text above the axes.

    Returns:
        The figure, not registered with pyplot.

    Raises:
        ValueError: If the shape does not fit the names.

    Example:
        >>> figure = plot_confusion([[1, 3], [0, 0]], ['run', 'sit'])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1\n25 %', '3\n75 %', 'no sample']
    """
    from matplotlib.figure import Figure

    table = np.asarray(counts)
    size = len(names)
    if table.shape != (size, size):
        raise ValueError(
            f'counts must have the shape {(size, size)} of {size} classes, '
            f'got {table.shape}'
        )
    totals = table.sum(axis=1)
    shares = table / np.maximum(totals, 1)[:, None]
    figure = Figure(
        (0.72 * size + 3.0, 0.55 * size + 2.0), layout='constrained'
    )
    axis = figure.subplots()
    shown = np.where(totals[:, None] > 0, 100 * shares, np.nan)
    image = axis.imshow(shown, cmap='cividis', vmin=0, vmax=100, aspect='auto')
    labels = [figure_text(name) for name in names]
    axis.set_xticks(range(size), labels, rotation=45, ha='right')
    axis.set_yticks(
        range(size),
        [f'{x} (n={n})' for x, n in zip(labels, totals, strict=True)],
    )
    axis.set(
        title=figure_text(title),
        xlabel='predicted class',
        ylabel='true class (number of clips)',
    )
    for row in range(size):
        if totals[row]:
            if size <= _MOST_NUMBERS:
                _write_row(axis, row, table[row], shares[row])
            continue
        axis.axhspan(
            row - 0.5, row + 0.5, facecolor='0.93', edgecolor='0.6', hatch='//'
        )
        axis.text(
            (size - 1) / 2, row, 'no sample', ha='center', va='center',
            fontsize=9, bbox={'facecolor': 'white', 'edgecolor': 'none'},
        )  # fmt: skip
    figure.colorbar(image, label='% of the true class')
    return figure


def _write_row(
    axis: Axes, row: int, counts: np.ndarray, shares: np.ndarray
) -> None:
    """Write counts and shares, dark on light and light on dark; no zeros."""
    for column, (count, share) in enumerate(zip(counts, shares, strict=True)):
        if count:
            axis.text(
                column,
                row,
                f'{count}\n{100 * share:.0f} %',
                ha='center',
                va='center',
                color='black' if share > 0.5 else 'white',
                fontsize=8,
                linespacing=1.0,
            )
