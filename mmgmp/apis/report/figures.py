"""The figures of a report, as SVG elements with captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mmgmp.apis.report.results import Results
from mmgmp.apis.report.tables import Table, sweep_means
from mmgmp.apis.report.words import column_words
from mmgmp.visualization import plot_ratio_curves
from mmgmp.visualization.benchmark_figures import (
    plot_bars,
    plot_heat_map,
    to_svg,
)

_MAX_CURVES = 7


class Picture(NamedTuple):
    """One figure of a page: heading (``''`` for none), element, caption."""

    title: str
    svg: str
    caption: str


def bars(table: Table) -> Picture:
    """Draw the means of a table."""
    values: dict[str, dict[str, tuple[float, float | None]]] = {}
    plan = table.results.plan
    for (method, column), row in table.means.iterrows():
        words = column_words(plan, column)
        values.setdefault(method, {})[words] = (row['mean'], row['std'])
    # A method has one colour on the whole page.
    figure = plot_bars(values, ylabel='%', order=list(plan.methods))
    return Picture(
        '',
        to_svg(figure, table.title),
        f'{table.title}: mean and sample standard deviation over seeds.',
    )


def heat_maps(results: Results) -> Iterator[Picture]:
    """Draw one heat map per swept parameter, or pair of parameters."""
    for name, method in results.plan.methods.items():
        for number, grid in enumerate(method.sweep):
            if len(grid) > 2:
                continue
            *first, second = grid
            rows = grid[first[0]] if first else ['']
            values = sweep_means(results, name, grid).to_numpy()
            if not np.isfinite(values).any():
                continue
            figure = plot_heat_map(
                values.reshape(len(rows), -1),
                rows,
                grid[second],
                (first[0] if first else '', second),
            )
            yield Picture(
                f'Sensitivity of {name}',
                to_svg(figure, f'{name}{number}'),
                f'{next(iter(results.plan.metrics))} in %, mean over '
                'targets and seeds. Target accuracy is shown, not used.',
            )


def ratio_curves(results: Results) -> Iterator[Picture]:
    """Draw the ratios of all methods, by target, for the first seed."""
    plan = results.plan
    cells = results.cells.loc[list(results.histories)]
    labels = (cells['method'] + ' ' + cells['modalities']).str.strip()
    for target, group in labels.groupby(cells['target'], sort=False):
        histories = {
            label: results.histories[number]
            for number, label in group.iloc[:_MAX_CURVES].items()
        }
        yield Picture(
            f'Discrepancy ratios, target {column_words(plan, target)}',
            to_svg(plot_ratio_curves(histories), f'ratios {target}'),
            f'Seed {plan.seeds[0]}, trailing mean over training; 1 '
            'is balance.',
        )
