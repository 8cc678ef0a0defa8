"""Names of a plan are text in every file of a report."""

from __future__ import annotations

import csv
import io
import json
from html import unescape

import yaml
from rich.console import Console

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    write_report,
)
from mmgmp.apis.benchmark.display import progress_table

from .toy import PLAN, make_toy, toy_launch, toy_plan

HOSTILE = [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK(1)',
    '@SUM(1+1)*cmd|calc',
    'a|b`c`[x](javascript:alert(1))',
    'a$frac{1$b',
    '</style><b>',
    '</svg><script>1</script>',
    'a[/nope] [bold red]x',
    '_a',
]


def test_a_name_is_only_shown(tmp_path):
    methods = {'ERM': 'erm.py', **dict.fromkeys(HOSTILE, 'gmp.py')}
    text = {
        **yaml.safe_load(PLAN),
        'corpus': HOSTILE[0],
        'title': HOSTILE[4],
        'methods': methods,
        'targets': {HOSTILE[3]: 'h'},
        'seeds': [0],
    }
    toy = make_toy(tmp_path / 'toy', json.dumps(text))
    before = {path.name for path in toy.iterdir()}
    plan = toy_plan(toy)
    runner = BenchmarkRunner(plan, toy_launch(toy), [{}, {}])
    assert runner.run()
    cells = list_cells(plan)
    for files in cells:
        (files.folder / 'task_gradients.csv').write_text(
            'iteration,semantic_ratio_video\n1,1\n2,2\n'
        )
    write_report(collect_results(plan, cells))
    assert {path.name for path in toy.iterdir()} == {*before, 'runs'}

    page = (plan.work_dir / 'report.html').read_text()
    for tag in ('<script', '<img', '<b>'):
        assert tag not in page
    assert all(name in unescape(page) for name in HOSTILE)
    markdown = (plan.work_dir / 'report.md').read_text()
    for tag in ('<script', '<img', '](javascript', '`c`', '| b'):
        assert tag not in markdown
    with open(plan.work_dir / 'report.csv', newline='') as file:
        rows = list(csv.reader(file))
    found = [cell for row in rows for cell in row]
    assert not [cell for cell in found if cell.startswith(('=', '@'))]
    assert {row[0].removeprefix("'") for row in rows[1:]} == set(methods)
    console = Console(width=400, file=io.StringIO())
    console.print(progress_table(runner))
    shown = console.file.getvalue()
    assert all(name in shown for name in HOSTILE)
