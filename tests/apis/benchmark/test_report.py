from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    write_report,
)
from mmgmp.apis.benchmark.published import (
    describe_source,
    find_published,
    load_published,
)

from .toy import PLAN, make_toy, toy_launch, toy_plan

SWEEP = 'sweep: [{a: [0, 1], b: [0, 1]}]'
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """A finished toy benchmark with a sweep, ratios and published rows."""
    text = PLAN.replace(
        'GMP: gmp_{target}.py',
        f'GMP: {{config: "gmp_{{target}}.py", {SWEEP}}}',
    )
    text = text.replace('seeds: [0, 1]', 'seeds: [0, 1, 2]')
    text += "published: {corpus: HAC, source: gmp, table: '2'}\n"
    toy = make_toy(tmp_path_factory.mktemp('report') / 'toy', text)
    plan = toy_plan(toy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmgmp.apis.benchmark.runner._POLL_SECONDS', 0.02)
        BenchmarkRunner(plan, toy_launch(toy), slots=[{}, {}]).run()
    for method in ('ERM', 'GMP'):
        np.savetxt(
            plan.work_dir / method / 'H/seed-0/task_gradients.csv',
            [[1, 1.5], [2, 1.2]],
            delimiter=',',
            header='iteration,semantic_ratio_video',
            comments='',
        )
    files = write_report(collect_results(plan, list_cells(plan)))
    return {path.suffix[1:]: path for path in files}


def test_json_holds_tables_and_runs(report):
    data = json.loads(report['json'].read_text())
    assert data['synthetic'] is True
    (table,) = data['tables']
    gmp = table['rows'][1]
    assert gmp['summaries']['avg']['n'] == 3
    assert gmp['differences']['ERM']['H']['mean'] == pytest.approx(25)
    assert gmp['published']['avg']['mean'] == 64.91
    assert len(data['runs']) == 6 + 6 + 24


def test_csv_has_a_line_per_cell(report):
    with open(report['csv'], newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    row = next(r for r in rows if r['settings'] == 'a=1 b=0')
    assert row['method'] == 'GMP'
    assert float(row['test/acc/top1']) == pytest.approx(0.76)


def test_markdown_puts_the_paper_beside_and_warns(report):
    text = report['md'].read_text()
    assert '# Toy: toys (SYNTHETIC), 36 of 36 cells done' in text
    assert '| GMP | 76.00 ± 0.00 (n=3) |' in text
    assert 'avg, published |' in text
    assert '| 64.91 |' in text
    assert '| GMP - ERM | +25.00 [+25.00, +25.00] |' in text
    assert 'NOT comparable' in text
    assert 'paired by seed' in text


def test_the_page_is_complete_in_itself(report):
    page = report['html'].read_text()
    body = re.sub(r'(xmlns(:\w+)?|rdf:\w+)="[^"]*"', '', page)
    body = re.sub(r'<metadata>.*?</metadata>', '', body, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', body)
    assert '<script' not in page
    assert page.count('<svg') == 3  # bars, heat map, ratios
    assert 'width=device-width' in page
    assert 'SYNTHETIC' in page


def test_the_figures_of_a_page_do_not_share_ids(report):
    page = report['html'].read_text()
    figures = re.findall(r'<svg.*?</svg>', page, flags=re.DOTALL)
    ids = [
        {
            e.get('id')
            for e in ElementTree.fromstring(figure).iter()
            if e.tag.endswith('clipPath')
        }
        for figure in figures
    ]
    assert all(ids)
    assert len(set.union(*ids)) == sum(len(found) for found in ids)


@pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')
@pytest.mark.parametrize('width', [500, 1200])
def test_the_page_fits_the_window(width, report, tmp_path):
    probe = '<script>document.title = document.documentElement.scrollWidth'
    probe += ' + "/" + innerWidth</script></body>'
    page = tmp_path / 'page.html'
    page.write_text(report['html'].read_text().replace('</body>', probe))
    shown = subprocess.run(
        [
            CHROMIUM,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            f'--user-data-dir={tmp_path / "profile"}',
            f'--window-size={width},900',
            '--dump-dom',
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    needed, there = re.search(r'<title>(\d+)/(\d+)</title>', shown).groups()
    assert int(needed) <= int(there)


def test_an_unfinished_benchmark_can_be_reported(tmp_path):
    plan = toy_plan(make_toy(tmp_path / 'toy'))
    results = collect_results(plan, list_cells(plan))
    files = write_report(results)
    assert results.tables == ()
    assert '0 of 8 cells done' in files[2].read_text()


def test_oracle_selection_stands_apart(tmp_path):
    text = PLAN + 'search: {trials: 1, reruns: 1, oracle: true}\n'
    toy = make_toy(tmp_path / 'toy', text)
    plan = toy_plan(toy)
    BenchmarkRunner(plan, toy_launch(toy), slots=[{}, {}]).run()
    results = collect_results(plan, list_cells(plan))
    assert results.oracle['GMP'] == pytest.approx((75.5, 75.5))
    text = write_report(results)[2].read_text()
    assert 'ORACLE selection looks at the target' in text
    # The trial that was not chosen is in no table.
    assert results.tables[0].rows[0].summaries['H'].n == 2


@pytest.mark.parametrize(
    ('wanted', 'where', 'value'),
    [
        ({'source': 'mbcd'}, ('ERM', 'V+A', 'target', 'H'), (72.96, 0.69)),
        ({'source': 'mbcd'}, ('MBCD', 'V+F', 'target', 'avg'), (70.12, None)),
        ({'table': '3'}, ('CMRF + GMP', '', 'target', 'avg'), (68.93, None)),
    ],
)
def test_published_numbers(wanted, where, value):
    found = find_published({'corpus': 'HAC', **wanted}, *where)
    assert (found.mean, found.std) == value


def test_a_number_that_was_not_published_is_none():
    wanted = {'corpus': 'HAC', 'source': 'gmp', 'table': '2'}
    assert find_published(wanted, 'ERM', '', 'target', 'avg') is None
    with pytest.raises(ValueError, match='published must fit one of'):
        find_published({'corpus': 'UCF'}, 'ERM', '', 'target', 'avg')
    assert 'Table 2, HAC' in describe_source(wanted)


def test_published_rows_fit_their_columns():
    for table in load_published()['tables']:
        assert table['source'] in load_published()['sources']
        for values in table['rows'].values():
            assert len(values) == len(table['columns'])
            pairs = [v if isinstance(v, list) else [v] for v in values]
            assert all(p[0] is None or 20 < p[0] < 100 for p in pairs)


def test_published_averages_agree_with_their_targets():
    for table in load_published()['tables']:
        if len(table['columns']) < 4:
            continue
        for values in table['rows'].values():
            means = [v[0] for v in values[:3]]
            assert values[3] == pytest.approx(np.mean(means), abs=0.011)
