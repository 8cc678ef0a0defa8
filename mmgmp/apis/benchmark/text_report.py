"""The report as Markdown, and the texts that the page shares with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmgmp.apis.benchmark.cell_state import State
from mmgmp.apis.benchmark.conditions import condition_rows
from mmgmp.apis.benchmark.published import Published, describe_source
from mmgmp.apis.benchmark.results import (
    REPORTED,
    Results,
    Table,
    ratio_summaries,
)
from mmgmp.apis.benchmark.statistics import Difference, Summary
from mmgmp.utils.plain_text import markdown_text

SYNTHETIC = (
    'SYNTHETIC corpus: rendered, not recorded. These numbers show that '
    'everything runs; they say nothing about the methods on real video.'
)
STATISTICS = (
    'Numbers in %, mean ± sample standard deviation over seeds. Differences '
    'are paired by seed (same split, initial weights and data order); in '
    "brackets the 95 % interval of Student's t over the pairs. Intervals are "
    'not corrected for the number of comparisons.'
)
ORACLE = (
    'ORACLE selection looks at the target and is no result of a method; it '
    'is listed to show how much selection on the source gives away.'
)
RATIOS_TITLE = 'Discrepancy ratios, last epoch'
RATIOS = (
    'How far a modality is ahead of the others in classification (semantic '
    'ratio) and in telling the domains apart (domain ratio), on the training '
    'batches of the last epoch; 1 is balance. Mean ± sample standard '
    'deviation over targets and seeds.'
)


def headline(results: Results) -> str:
    """Return title, corpus and how complete the results are."""
    plan = results.plan
    kind = ' (SYNTHETIC)' if plan.synthetic else ''
    return (
        f'{plan.title}: {plan.corpus}{kind}, {results.num_done} of '
        f'{len(results.runs)} cells done'
    )


def notes(results: Results) -> list[str]:
    """Return the sentences that must stand beside the numbers."""
    plan = results.plan
    lines = [SYNTHETIC] if plan.synthetic else []
    lines.append(STATISTICS)
    if plan.search is not None:
        lines.append(
            f'Hyper-parameters: the default and {plan.search.trials} random '
            'configurations per method and target; source validation chose '
            f'one, which was run again with {plan.search.reruns} new seeds. '
            'The chosen trials have different seeds and are left out of the '
            'pairs where no other method shares theirs.'
        )
    lines += _gaps(results)
    if plan.published:
        lines.append(f'Published: {describe_source(plan.published)}.')
        if plan.synthetic:
            lines.append(
                'The published numbers are of a recorded corpus and NOT '
                'comparable with the measured ones.'
            )
    return lines


def _gaps(results: Results) -> Iterator[str]:
    """Say what the tables lack."""
    failed = [
        run.cell.name for run in results.runs if run.state is State.FAILED
    ]
    if failed:
        yield (
            f'{len(failed)} cells FAILED; the tables hold what they did '
            f'before: {", ".join(failed)}.'
        )
    for heading, key in results.plan.metrics.items():
        done = [run for run in results.runs if run.state is State.DONE]
        tested = [run for run in done if run.cell.role in REPORTED]
        num_lacking = sum(key not in run.metrics for run in tested)
        num_undefined = sum(
            not np.isfinite(run.metrics.get(key, 0.0)) for run in tested
        )
        if tested and num_lacking == len(tested):
            yield f'No finished cell reports {key} ({heading}).'
        elif num_undefined:
            yield (
                f'{heading} is NOT defined in {num_undefined} cells, which '
                'are left out of it.'
            )


def to_markdown(results: Results) -> str:
    """Write the tables as Markdown."""
    lines = [f'# {markdown_text(headline(results))}', '']
    for note in notes(results):
        lines += [f'> {markdown_text(note)}', '>']
    lines = [*lines[:-1], '']
    for table in results.tables:
        lines += [f'## {markdown_text(table_title(table))}', '']
        lines += _markdown(table_rows(table))
        lines += _markdown(difference_rows(table))
    if len(ratio_rows(results)) > 1:
        lines += [f'## {RATIOS_TITLE}', '', RATIOS, '']
        lines += _markdown(ratio_rows(results))
    if results.oracle:
        lines += ['## Oracle selection', '', ORACLE, '']
        lines += _markdown(oracle_rows(results))
    lines += ['## Conditions', '']
    lines += _markdown(condition_rows(results), numbers=False)
    return '\n'.join(lines)


def table_title(table: Table) -> str:
    """Return the heading of a table."""
    return ', '.join(filter(None, (table.metric, table.modalities)))


def table_rows(table: Table) -> list[list[str]]:
    """Lay the means out as text, the header first.

    Args:
        table: The table.

    Returns:
        Cells by row: measured, then published where there is any.
    """
    published = [
        column
        for column in table.columns
        if any(column in row.published for row in table.rows)
    ]
    header = [
        'method',
        *table.columns,
        *(f'{column}, published' for column in published),
    ]
    return [
        header,
        *(
            [
                row.method,
                *(_summary(row.summaries.get(c)) for c in table.columns),
                *(_published(row.published.get(c)) for c in published),
            ]
            for row in table.rows
        ),
    ]


def difference_rows(table: Table) -> list[list[str]]:
    """Lay the paired differences out as text, the header first.

    Args:
        table: The table.

    Returns:
        Cells by row, the header alone without a comparison.
    """
    return [
        ['difference', *table.columns],
        *(
            [
                f'{row.method} - {other}',
                *(_difference(differences.get(c)) for c in table.columns),
            ]
            for row in table.rows
            for other, differences in row.differences.items()
        ),
    ]


def ratio_rows(results: Results) -> list[list[str]]:
    """Lay the discrepancy ratios out as text, the header first.

    Args:
        results: What was measured.

    Returns:
        A row per method that recorded ratios, the header alone without any.
    """
    by_group = ratio_summaries(results)
    names = list(dict.fromkeys(n for by in by_group.values() for n in by))
    names.sort(key=lambda name: name.startswith('domain'))
    return [
        ['method', *names],
        *(
            [
                ' '.join(filter(None, group)),
                *(_summary(by_name.get(name)) for name in names),
            ]
            for group, by_name in by_group.items()
        ),
    ]


def oracle_rows(results: Results) -> list[list[str]]:
    """Lay out the oracle comparison as text, the header first."""
    header = ['method', 'selected on source', 'ORACLE: best on target']
    return [
        header,
        *(
            [method, f'{selected:.2f}', f'{best:.2f}']
            for method, (selected, best) in results.oracle.items()
        ),
    ]


def _summary(value: Summary | None) -> str:
    if value is None:
        return ''
    spread = '' if value.std is None else f' ± {value.std:.2f}'
    return f'{value.mean:.2f}{spread} (n={value.n})'


def _difference(value: Difference | None) -> str:
    if value is None:
        return ''
    if value.low is None or value.high is None:
        return f'{value.mean:+.2f} (one pair)'
    return f'{value.mean:+.2f} [{value.low:+.2f}, {value.high:+.2f}]'


def _published(value: Published | None) -> str:
    if value is None:
        return ''
    return f'{value.mean:.2f}' + (f' ± {value.std:.2f}' if value.std else '')


def _markdown(rows: list[list[Any]], numbers: bool = True) -> Iterator[str]:
    def line(cells: list[Any]) -> str:
        return f'| {" | ".join(map(markdown_text, cells))} |'

    if len(rows) == 1:
        return
    yield line(rows[0])
    mark = '| --: ' if numbers else '| --- '
    yield '| --- ' + mark * (len(rows[0]) - 1) + '|'
    yield from (line(row) for row in rows[1:])
    yield ''
