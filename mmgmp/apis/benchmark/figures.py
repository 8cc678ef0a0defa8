"""The figures of a report, as SVG elements with captions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.facts import read_history
from mmgmp.apis.benchmark.results import Results
from mmgmp.apis.benchmark.tables import Table, sweep_means
from mmgmp.visualization import plot_ratio_curves
from mmgmp.visualization.benchmark_figures import (
    plot_bars,
    plot_heat_map,
    to_svg,
)

_MAX_CURVES = 7


@dataclass(frozen=True)
class Picture:
    """One figure of a page.

    Args:
        title: Heading above it, ``''`` for none.
        svg: The ``<svg>`` element.
        caption: What it shows.
    """

    title: str
    svg: str
    caption: str


def bars(table: Table) -> Picture:
    """Draw the means of a table.

    Args:
        table: The table.
    """
    values: dict[str, dict[str, tuple[float, float | None]]] = {}
    for (method, column), row in table.means.iterrows():
        values.setdefault(method, {})[column] = (row['mean'], row['std'])
    return Picture(
        '',
        to_svg(plot_bars(values, ylabel='%'), table.title),
        f'{table.title}: mean and sample standard deviation over seeds.',
    )


def heat_maps(results: Results) -> Iterator[Picture]:
    """Draw one heat map per swept parameter, or pair of parameters.

    Args:
        results: What was measured.
    """
    for name, method in results.plan.methods.items():
        for number, grid in enumerate(method.sweep):
            if len(grid) > 2:
                continue
            *first, second = grid
            rows = grid[first[0]] if first else ['']
            values = sweep_means(results, name, grid).to_numpy()
            values = values.reshape(len(rows), -1)
            if not np.isfinite(values).any():
                continue
            labels = (first[0] if first else '', second)
            figure = plot_heat_map(values, rows, grid[second], labels)
            yield Picture(
                f'Sensitivity of {name}',
                to_svg(figure, f'{name}{number}'),
                f'{next(iter(results.plan.metrics))} in %, mean over '
                'targets and seeds. Target accuracy is shown, not used.',
            )


def ratio_curves(
    results: Results, cells: list[CellFiles]
) -> Iterator[Picture]:
    """Draw the ratios of all methods, by target, for the first seed.

    Args:
        results: What was measured.
        cells: The cells of the plan.
    """
    seed = results.plan.seeds[0]
    for target in results.plan.targets:
        histories: dict[str, dict[str, NDArray[np.float64]]] = {}
        for files in cells:
            cell = files.cell
            if (cell.target, cell.seed, cell.role) != (target, seed, 'run'):
                continue
            history = read_history(files)
            if history and len(histories) < _MAX_CURVES:
                label = ' '.join(filter(None, (cell.method, cell.modalities)))
                histories[label] = history
        if histories:
            yield Picture(
                f'Discrepancy ratios, target {target}',
                to_svg(plot_ratio_curves(histories), f'ratios {target}'),
                f'Seed {seed}, trailing mean over training; 1 is balance.',
            )
