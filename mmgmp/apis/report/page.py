"""The report of a plan: a page, Markdown, JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmgmp.apis.report import figures, texts
from mmgmp.apis.report.conditions import condition_texts, conditions
from mmgmp.apis.report.published import Published
from mmgmp.apis.report.results import FAILED, Results
from mmgmp.apis.report.scrolling import PAGE_STEPS, figure_step, table_step
from mmgmp.apis.report.tables import (
    Table,
    oracle,
    ratio_table,
    records,
    tables,
)
from mmgmp.apis.report.words import column_words, metric_words
from mmgmp.utils import draft_files
from mmgmp.utils.plain_text import csv_cell, markdown_text

_FAILURE = ['method', 'modalities', 'target', 'seed']
_ORACLE = ['method', 'selected on source', 'ORACLE: best on target']


def write_report(results: Results) -> list[Path]:
    """Write ``report.json``, ``.csv``, ``.md`` and ``.html``.

    Args:
        results: What was measured.

    Returns:
        The files, in the work directory of the plan.
    """
    found = tables(results)
    context = _context(results, found)
    contents = {
        'json': _to_json(results, found),
        'csv': _to_csv(results),
        'md': _render('report.md.j2', context),
        'html': _render('report.html.j2', context),
    }
    folder = results.plan.work_dir
    paths = [folder / f'report.{suffix}' for suffix in contents]
    with draft_files(*paths) as drafts:
        for draft, text in zip(drafts, contents.values(), strict=True):
            draft.write_text(text, encoding='utf-8')
    return paths


def _to_json(results: Results, found: Sequence[Table]) -> str:
    """Write everything as JSON, fit to be committed."""
    plan = results.plan
    report = {
        'title': plan.title,
        'corpus': plan.corpus,
        'synthetic': plan.synthetic,
        'seeds': plan.seeds,
        'checkpoint': plan.checkpoint,
        'averaged': results.averaged,
        'trained_on_target': results.oracles,
        'in_domain': results.in_domain,
        'notes': list(texts.notes(results)),
        'conditions': conditions(results),
        'tables': [
            {
                'metric': table.metric,
                'modalities': table.modalities,
                'means': records(table.means),
                'differences': records(table.differences),
                'published': [
                    {'method': m, 'column': c, 'mean': p.mean, 'std': p.std}
                    for (m, c), p in table.published.items()
                ],
            }
            for table in found
        ],
        'ratios_last_epoch': records(ratio_table(results)),
        'oracle': oracle(results),
        'runs': records(_runs(results)),
    }
    return json.dumps(report, indent=1, allow_nan=False, default=int) + '\n'


def _to_csv(results: Results) -> str:
    """Write one line per cell, free of what a spreadsheet would run."""
    runs = _runs(results)
    for name in runs.select_dtypes(exclude='number'):
        runs[name] = runs[name].map(csv_cell)
    text: str = runs.rename(columns=csv_cell).to_csv(
        index=False, lineterminator='\n'
    )
    return text


def _runs(results: Results) -> pd.DataFrame:
    """One row per cell, one column per metric; NaN where it has none."""
    finite = results.numbers.replace([np.inf, -np.inf], np.nan)
    wide = finite.pivot_table(
        index='cell', columns='metric', values='value', dropna=False
    )
    return results.cells.join(wide[finite['metric'].unique()])


def _context(results: Results, found: Sequence[Table]) -> dict[str, Any]:
    """What the templates show."""
    failed = results.cells[results.cells['state'] == FAILED]
    return {
        'headline': texts.headline(results),
        'corpus': results.corpus,
        'notes': list(texts.notes(results)),
        'loud': texts.LOUD,
        'tables': [
            (
                table,
                metric_words(
                    results.plan, table.metric, texts.is_in_domain(results)
                ),
                [_mean_grid(table), *_difference_grids(table)],
            )
            for table in found
        ],
        'ratios': _ratio_grid(ratio_table(results)),
        'ratios_text': texts.RATIOS,
        'oracle': _headed(
            _ORACLE,
            [
                [method, *(f'{value:.2f}' for value in values.values())]
                for method, values in oracle(results).items()
            ],
        ),
        'oracle_text': texts.ORACLE,
        'failures': _headed(
            [*_FAILURE, 'why'], failed[[*_FAILURE, 'failure']].values.tolist()
        ),
        'conditions': [['condition', 'value'], *condition_texts(results)],
        'bars': figures.bars,
        'heat_maps': figures.heat_maps(results),
        'curves': figures.ratio_curves(results),
        'page_steps': PAGE_STEPS,
        'table_step': table_step,
        'figure_step': figure_step,
    }


def _mean_grid(table: Table) -> list[list[str]]:
    """Means, then the published numbers of the columns that have some."""
    shown = {m: texts.shown_name(table.results, m) for m in table.methods}
    cells = {
        (shown[method], column): _mean_text(row)
        for (method, column), row in table.means.iterrows()
    }
    cells |= {
        (shown[method], f'{column}, published'): _published_text(value)
        for (method, column), value in table.published.items()
    }
    found = {column for _, column in cells}
    columns = [f'{column}, published' for column in table.columns]
    columns = [*table.columns, *(c for c in columns if c in found)]
    heads = [column_words(table.results.plan, c) for c in columns]
    return _grid('method', cells, shown.values(), columns, heads)


def _difference_grids(table: Table) -> Iterator[list[list[str]]]:
    """One grid, or none without pairs."""
    shown = {m: texts.shown_name(table.results, m) for m in table.methods}
    cells = {
        (f'{shown[a]} - {shown[b]}', column): _difference_text(row)
        for (a, b, column), row in table.differences.iterrows()
    }
    if cells:
        plan = table.results.plan
        heads = [column_words(plan, c) for c in table.columns]
        yield _grid('difference', cells, _first(cells), table.columns, heads)


def _ratio_grid(summary: pd.DataFrame) -> list[list[str]]:
    cells = {key: _mean_text(row) for key, row in summary.iterrows()}
    columns = dict.fromkeys(name for _, name in cells)
    return _grid('method', cells, _first(cells), columns) if cells else []


def _first(cells: Mapping[tuple[str, str], str]) -> dict[str, None]:
    return dict.fromkeys(row for row, _ in cells)


def _grid(
    head: str,
    cells: Mapping[tuple[str, str], str],
    rows: Iterable[str],
    columns: Iterable[str],
    heads: Iterable[str] = (),
) -> list[list[str]]:
    """Lay texts by row and column out as rows; the first is the header."""
    columns = list(columns)
    return [
        [head, *(heads or columns)],
        *([row, *(cells.get((row, c), '') for c in columns)] for row in rows),
    ]


def _headed(head: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    """Put a header above rows, if there are any."""
    return [head, *rows] if rows else []


def _mean_text(row: pd.Series) -> str:
    spread = '' if np.isnan(row['std']) else f' ± {row["std"]:.2f}'
    return f'{row["mean"]:.2f}{spread} (n={row["n"]:.0f})'


def _difference_text(row: pd.Series) -> str:
    if np.isnan(row['low']):
        return f'{row["mean"]:+.2f} (one pair)'
    return f'{row["mean"]:+.2f} [{row["low"]:+.2f}, {row["high"]:+.2f}]'


def _published_text(value: Published) -> str:
    return f'{value.mean:.2f}' + (f' ± {value.std:.2f}' if value.std else '')


def _render(name: str, context: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader('mmgmp.apis.report'),
        autoescape=name.endswith('.html.j2'),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Names come from plans: a cell must stay a cell, and text must stay text.
    environment.filters['cell'] = markdown_text
    return environment.get_template(name).render(context)
