"""The report as one page that needs nothing else, not even a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.conditions import condition_rows
from mmgmp.apis.benchmark.facts import read_history
from mmgmp.apis.benchmark.results import Results, Table
from mmgmp.apis.benchmark.text_report import (
    ORACLE,
    RATIOS,
    RATIOS_TITLE,
    difference_rows,
    headline,
    notes,
    oracle_rows,
    ratio_rows,
    table_rows,
    table_title,
)
from mmgmp.visualization import plot_ratio_curves
from mmgmp.visualization.benchmark_figures import (
    plot_bars,
    plot_heat_map,
    to_svg,
)

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a;
  background: #fff; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; line-height: 1.25; } h2 { font-size: 1.15rem; }
.note { border-left: .3rem solid #0072b2; padding: .1rem .8rem; }
.warning { border-left-color: #d55e00; background: #fdf1e7; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin-bottom: 1rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ccc;
  text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky;
  left: 0; background: #fff; }
table.text td + td, table.text th + th { white-space: normal;
  text-align: left; }
figure { margin: 1rem 0; }
svg { max-width: max(100%, 36rem); height: auto; }
figcaption { font-size: .85rem; color: #555; }
"""
_MAX_CURVES = 7
#: A note with one of these is a warning.
_LOUD = ('SYNTHETIC', 'NOT', 'FAILED')


def to_html(results: Results) -> str:
    """Write the whole report as one HTML page.

    Args:
        results: What was measured.

    Returns:
        The page, with its figures inside.
    """
    title = escape(headline(results))
    parts = [f'<h1>{title}</h1>']
    for note in notes(results):
        is_warning = any(word in note for word in _LOUD)
        kind = 'note warning' if is_warning else 'note'
        parts.append(f'<p class="{kind}">{escape(note)}</p>')
    for table in results.tables:
        parts += _table_section(results, table)
    parts += _sensitivity(results)
    if len(ratio_rows(results)) > 1:
        parts += [f'<h2>{escape(RATIOS_TITLE)}</h2>', f'<p>{RATIOS}</p>']
        parts += _html_table(ratio_rows(results))
    parts += _ratios(results)
    if results.oracle:
        parts += ['<h2>Oracle selection</h2>']
        parts += [f'<p class="note warning">{escape(ORACLE)}</p>']
        parts += _html_table(oracle_rows(results))
    parts += [
        '<h2>Conditions</h2>',
        *_html_table(condition_rows(results), 'text'),
    ]
    body = '\n'.join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, '
        f'initial-scale=1">\n<title>{title}</title>\n'
        f'<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _table_section(results: Results, table: Table) -> Iterator[str]:
    yield f'<h2>{escape(table_title(table))}</h2>'
    yield from _html_table(table_rows(table))
    yield from _html_table(difference_rows(table))
    bars = {
        row.method: {
            column: (value.mean, value.std)
            for column, value in row.summaries.items()
        }
        for row in table.rows
    }
    figure = plot_bars(bars, ylabel='%')
    yield _figure(
        results,
        to_svg(figure, table_title(table)),
        f'{table_title(table)}: mean and sample standard deviation over '
        'seeds.',
    )


def _sensitivity(results: Results) -> Iterator[str]:
    """One heat map per swept pair of parameters."""
    for name, method in results.plan.methods.items():
        for number, grid in enumerate(method.sweep):
            axes = list(grid)
            if len(axes) > 2:
                continue
            first, second = axes[0], axes[-1]
            rows = grid[first] if len(axes) == 2 else ['']
            columns = grid[second]
            values = np.array(
                [
                    [
                        _mean_of_sweep(
                            results,
                            name,
                            {first: r, second: c}
                            if len(axes) == 2
                            else {second: c},
                        )
                        for c in columns
                    ]
                    for r in rows
                ]
            )
            if not np.isfinite(values).any():
                continue
            label = first if len(axes) == 2 else ''
            figure = plot_heat_map(values, rows, columns, (label, second))
            yield f'<h2>Sensitivity of {escape(name)}</h2>'
            yield _figure(
                results,
                to_svg(figure, f'{name}{number}'),
                f'{next(iter(results.plan.metrics))} in %, mean over '
                'targets and seeds. Target accuracy is shown, not used.',
            )


def _mean_of_sweep(
    results: Results, method: str, settings: Mapping[str, object]
) -> float:
    """Mean over all runs of a setting; NaN until all of them are done."""
    key = next(iter(results.plan.metrics.values()))
    values = [
        100 * run.metrics.get(key, np.nan)
        for run in results.runs
        if run.cell.method == method and dict(run.cell.settings) == settings
    ]
    return float(np.mean(values)) if values else np.nan


def _ratios(results: Results) -> Iterator[str]:
    """Discrepancy ratios of all methods, by target, for the first seed."""
    seed = results.plan.seeds[0]
    for target in results.plan.targets:
        histories: dict[str, dict[str, NDArray[np.float64]]] = {}
        for run in results.runs:
            cell = run.cell
            if (cell.target, cell.seed, cell.role) != (target, seed, 'run'):
                continue
            history = read_history(CellFiles(results.plan, cell))
            if history and len(histories) < _MAX_CURVES:
                label = ' '.join(filter(None, (cell.method, cell.modalities)))
                histories[label] = history
        if histories:
            yield f'<h2>Discrepancy ratios, target {escape(target)}</h2>'
            figure = plot_ratio_curves(histories)
            yield _figure(
                results,
                to_svg(figure, f'ratios {target}'),
                f'Seed {seed}, trailing mean over training; 1 is balance.',
            )


def _figure(results: Results, svg: str, caption: str) -> str:
    corpus = results.plan.corpus
    kind = ' (SYNTHETIC)' if results.plan.synthetic else ''
    return (
        f'<figure><div class="scroll">{svg}</div><figcaption>'
        f'{escape(f"{corpus}{kind}. {caption}")}</figcaption></figure>'
    )


def _html_table(rows: list[list[str]], kind: str = '') -> Iterator[str]:
    if len(rows) == 1:
        return
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in rows[0])
    yield f'<div class="scroll"><table class="{kind}">'
    yield f'<thead><tr>{head}</tr></thead><tbody>'
    for row in rows[1:]:
        yield f'<tr>{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>'
    yield '</tbody></table></div>'
