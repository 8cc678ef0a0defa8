"""The report of a plan: a page, Markdown, JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmgmp.apis.benchmark import figures, report_texts
from mmgmp.apis.benchmark.conditions import condition_texts, conditions
from mmgmp.apis.benchmark.published import Published
from mmgmp.apis.benchmark.results import Results
from mmgmp.apis.benchmark.runner import list_cells
from mmgmp.apis.benchmark.tables import (
    Table,
    oracle,
    ratio_table,
    records,
    tables,
)
from mmgmp.utils import draft_files
from mmgmp.utils.plain_text import csv_cell, markdown_text


def write_report(results: Results) -> list[Path]:
    """Write ``report.json``, ``.csv``, ``.md`` and ``.html``.

    Args:
        results: What was measured.

    Returns:
        The files, in the work directory of the plan.
    """
    folder = results.plan.work_dir
    found = tables(results)
    texts = {
        'json': to_json(results, found),
        'csv': to_csv(results),
        'md': _render('report.md.j2', _context(results, found)),
        'html': _render('report.html.j2', _page(results, found)),
    }
    paths = [folder / f'report.{suffix}' for suffix in texts]
    with draft_files(*paths) as drafts:
        for draft, text in zip(drafts, texts.values(), strict=True):
            draft.write_text(text, encoding='utf-8')
    return paths


def to_json(results: Results, found: Iterable[Table]) -> str:
    """Write everything as JSON, fit to be committed.

    Args:
        results: What was measured.
        found: Its tables.
    """
    plan = results.plan
    report = {
        'title': plan.title,
        'corpus': plan.corpus,
        'synthetic': plan.synthetic,
        'seeds': plan.seeds,
        'checkpoint': plan.checkpoint,
        'notes': report_texts.notes(results),
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
        'runs': records(_wide(results)),
    }
    return json.dumps(report, indent=1, allow_nan=False, default=int) + '\n'


def to_csv(results: Results) -> str:
    """Write one line per cell as CSV.

    Texts that a spreadsheet would take for a formula get an apostrophe in
    front.

    Args:
        results: What was measured.
    """
    wide = _wide(results)
    for name in wide.select_dtypes(exclude='number'):
        wide[name] = wide[name].map(csv_cell)
    text: str = wide.rename(columns=csv_cell).to_csv(
        index=False, lineterminator='\n'
    )
    return text


def _wide(results: Results) -> pd.DataFrame:
    """One row per cell, one column per metric; NaN where it has none."""
    finite = results.numbers.replace([np.inf, -np.inf], np.nan)
    names = list(dict.fromkeys(finite['metric']))
    wide = finite.pivot_table(
        index='cell', columns='metric', values='value', dropna=False
    ).reindex(columns=names)
    return results.cells.join(wide)


def _context(results: Results, found: list[Table]) -> dict[str, Any]:
    """What both templates show."""
    failed = results.cells[results.cells['failure'] != '']
    return {
        'headline': report_texts.headline(results),
        'notes': report_texts.notes(results),
        'loud': report_texts.LOUD,
        'tables': [(table, _text_tables(table)) for table in found],
        'ratios': _ratio_texts(ratio_table(results)),
        'ratios_text': report_texts.RATIOS,
        'oracle': [
            [m, f'{v["selected"]:.2f}', f'{v["best_on_target"]:.2f}']
            for m, v in oracle(results).items()
        ],
        'oracle_text': report_texts.ORACLE,
        'failures': failed[
            ['method', 'modalities', 'target', 'seed', 'failure']
        ].to_numpy(),
        'conditions': condition_texts(results),
    }


def _page(results: Results, found: list[Table]) -> dict[str, Any]:
    kind = ' (SYNTHETIC)' if results.plan.synthetic else ''
    return {
        **_context(results, found),
        'corpus': results.plan.corpus + kind,
        'bars': figures.bars,
        'heat_maps': list(figures.heat_maps(results)),
        'curves': list(
            figures.ratio_curves(results, list_cells(results.plan))
        ),
    }


def _text_tables(table: Table) -> list[list[list[str]]]:
    """Means with published numbers, then differences; the headers first."""
    means = {key: _mean_text(row) for key, row in table.means.iterrows()}
    shown = [
        column
        for column in table.columns
        if any(column == key[1] for key in table.published)
    ]
    head = ['method', *table.columns, *(f'{c}, published' for c in shown)]
    published = table.published
    rows = [
        [
            method,
            *(means.get((method, c), '') for c in table.columns),
            *(_published_text(published.get((method, c))) for c in shown),
        ]
        for method in table.methods
    ]
    texts = {
        key: _difference_text(row) for key, row in table.differences.iterrows()
    }
    pairs = dict.fromkeys((a, b) for a, b, _ in texts)
    differences = [
        [f'{a} - {b}', *(texts.get((a, b, c), '') for c in table.columns)]
        for a, b in pairs
    ]
    head_of_differences = ['difference', *table.columns]
    return [
        [head, *rows],
        *([[head_of_differences, *differences]] if differences else []),
    ]


def _ratio_texts(summary: pd.DataFrame) -> list[list[str]]:
    if summary.empty:
        return []
    texts = summary.apply(_mean_text, axis=1).unstack(fill_value='')
    names = list(dict.fromkeys(summary.index.get_level_values(1)))
    methods = list(dict.fromkeys(summary.index.get_level_values(0)))
    texts = texts.reindex(index=methods, columns=names)
    return [['method', *names], *texts.reset_index().to_numpy().tolist()]


def _mean_text(row: pd.Series) -> str:
    spread = '' if np.isnan(row['std']) else f' ± {row["std"]:.2f}'
    return f'{row["mean"]:.2f}{spread} (n={row["n"]:.0f})'


def _difference_text(row: pd.Series) -> str:
    if np.isnan(row['low']):
        return f'{row["mean"]:+.2f} (one pair)'
    return f'{row["mean"]:+.2f} [{row["low"]:+.2f}, {row["high"]:+.2f}]'


def _published_text(value: Published | None) -> str:
    if value is None:
        return ''
    return f'{value.mean:.2f}' + (f' ± {value.std:.2f}' if value.std else '')


def _render(name: str, context: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader('mmgmp.apis.benchmark'),
        autoescape=name.endswith('.html.j2'),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Names come from plans: a cell must stay a cell, and text must stay text.
    environment.filters['cell'] = markdown_text
    return environment.get_template(name).render(context)
