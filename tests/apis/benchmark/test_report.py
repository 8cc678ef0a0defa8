from __future__ import annotations

import csv
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    tables,
    write_report,
)
from mmgmp.apis.report.published import (
    describe_source,
    find_published,
    load_published,
)
from mmgmp.apis.report.tables import oracle
from mmgmp.apis.report.words import axis_notes, column_words, metric_words

from .toy import PLAN, make_toy, toy_launch, toy_plan

SWEEP = 'sweep: [{a: [0, 1], b: [0, 1]}]'
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """A finished toy benchmark with a sweep, ratios and published rows."""
    text = PLAN.replace(
        'GMP: gmp.py',
        f'GMP: {{config: "gmp.py", {SWEEP}}}',
    )
    text = text.replace('seeds: [0, 1]', 'seeds: [0, 1, 2]')
    text += 'overrides: {data_root: /somewhere/secret/corpus}\n'
    text += "published: {corpus: HAC, source: gmp, table: '2'}\n"
    toy = make_toy(tmp_path_factory.mktemp('report') / 'toy', text)
    plan = toy_plan(toy)
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


def rows(records, **wanted):
    return [r for r in records if wanted.items() <= r.items()]


def test_json_holds_tables_and_runs(report):
    data = json.loads(report['json'].read_text())
    assert data['synthetic'] is True
    (table,) = data['tables']
    (mean,) = rows(table['means'], method='GMP', column='avg')
    assert mean['n'] == 3
    (pair,) = rows(table['differences'], method='GMP', column='H')
    assert (pair['other'], pair['mean']) == ('ERM', pytest.approx(25))
    (paper,) = rows(table['published'], method='GMP', column='avg')
    assert paper['mean'] == 64.91
    assert len(data['runs']) == 6 + 6 + 24


def test_json_can_be_committed(report):
    text = report['json'].read_text()
    assert str(report['json'].parents[1]) not in text
    data = json.loads(text)
    found = data['conditions']
    assert found['targets'] == ['H', 'A']
    assert found['training'] == {'ERM': ['2 epochs'], 'GMP': ['2 epochs']}
    assert found['overrides'] == {'data_root': '.../corpus'}
    assert found['machines'][0]['cores'] >= 1
    assert 'torch' in found['software'][0]
    assert len(found['dates']) == 2
    (video,) = rows(data['ratios_last_epoch'], method='GMP')
    assert video['ratio'] == 'semantic ratio video'
    assert (video['mean'], video['n']) == (pytest.approx(1.2), 1)
    (run,) = [
        r for r in rows(data['runs'], method='GMP')
        if r['semantic ratio video, last epoch'] is not None
    ]  # fmt: skip
    assert (run['target'], run['seed']) == ('H', 0)


def test_conditions_and_ratios_are_shown(report):
    for suffix in ('md', 'html'):
        text = report[suffix].read_text()
        assert 'Discrepancy ratios, last epoch' in text
        assert 'semantic ratio video' in text
        assert '1.20 (n=1)' in text
        for word in ('corpus', 'training', 'seeds', 'date', 'hardware'):
            assert word in text.rpartition('Conditions')[2]
        assert '2 epochs; the best epoch on source validation' in text


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


class Structure(HTMLParser):
    """Which tables and pictures are in no container that scrolls."""

    VOID = ('meta', 'img', 'br')

    def __init__(self, page):
        super().__init__()
        self.open = []
        self.inside, self.outside = [], []
        self.hints = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        kind = dict(attrs).get('class', '')
        self.hints += kind == 'hint'
        if tag in ('table', 'svg', 'img'):
            scrolls = any(c == 'scroll' for _, c in self.open)
            (self.inside if scrolls else self.outside).append(tag)
        if tag not in self.VOID:
            self.open.append((tag, kind))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag


def test_tables_and_figures_scroll_by_themselves_and_say_so(report):
    page = report['html'].read_text()
    structure = Structure(page)
    assert structure.outside == []
    assert structure.inside.count('svg') == 3
    assert structure.inside.count('table') == 4
    assert structure.hints == 7
    (rule,) = re.findall(r'^\.scroll \{(.*)\}', page, flags=re.MULTILINE)
    assert 'overflow-x: auto' in rule
    assert re.search(
        r'<meta name="viewport" content="width=device-width', page
    )
    # Each hint is shown below some width, or always.
    for step in set(re.findall(r'class="wide s(\w+)"', page)):
        shown = re.search(rf'\.s{step} > \.hint {{ display: block; }}', page)
        assert shown, step


@pytest.mark.skipif(CHROMIUM is None, reason='there is no Chromium here')
@pytest.mark.parametrize('width', [360, 1280])
def test_the_page_fits_the_window(width, report, tmp_path):
    """In a frame, as Chromium has no window below 500 pixels."""
    probe = """<script>
    onload = () => {
      const inside = document.querySelector('iframe').contentWindow;
      const needed = inside.document.scrollingElement.scrollWidth;
      document.title = needed + '/' + inside.innerWidth;
    }</script>"""
    content = html.escape(report['html'].read_text())
    page = tmp_path / 'page.html'
    page.write_text(
        f'<body>{probe}<iframe style="border: 0" width={width} height=800 '
        f'srcdoc="{content}"></iframe></body>'
    )
    shown = subprocess.run(
        [
            CHROMIUM,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            f'--user-data-dir={tmp_path / "profile"}',
            '--window-size=1400,900',
            '--virtual-time-budget=2000',
            '--dump-dom',
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    needed, there = re.search(r'<title>(\d+)/(\d+)</title>', shown).groups()
    assert int(there) in (width, width - 15)  # a scroll bar
    assert int(needed) <= int(there)


def test_short_names_are_explained(tmp_path):
    text = PLAN + 'metrics: {source: val/acc/top1, x: test/acc/top1_audio}\n'
    plan = toy_plan(make_toy(tmp_path / 'toy', text))
    (note,) = axis_notes(plan)
    assert note == (
        'A column is the target domain, which training never sees: '
        'H = h, A = a. avg is the mean over them.'
    )
    assert column_words(plan, 'H, published') == 'H (h), published'
    assert column_words(plan, 'avg') == 'avg'
    assert metric_words(plan, 'source') == (
        'Top-1 accuracy of the fused model on the held-out clips of the '
        'source domains, which select the checkpoint.'
    )
    assert 'audio branch of the model on the unseen' in metric_words(plan, 'x')


def test_an_unfinished_benchmark_can_be_reported(tmp_path):
    plan = toy_plan(make_toy(tmp_path / 'toy'))
    results = collect_results(plan, list_cells(plan))
    files = write_report(results)
    assert tables(results) == []
    assert '0 of 8 cells done' in files[2].read_text()


def test_oracle_selection_stands_apart(tmp_path):
    text = PLAN + 'search: {trials: 1, reruns: 1, oracle: true}\n'
    toy = make_toy(tmp_path / 'toy', text)
    plan = toy_plan(toy)
    BenchmarkRunner(plan, toy_launch(toy), slots=[{}, {}]).run()
    results = collect_results(plan, list_cells(plan))
    both = {'selected': 75.5, 'best_on_target': 75.5}
    assert oracle(results)['GMP'] == pytest.approx(both)
    text = write_report(results)[2].read_text()
    assert 'ORACLE selection looks at the target' in text
    # The trial that was not chosen is in no table.
    assert tables(results)[0].means.loc[('ERM', 'H'), 'n'] == 2


def finished(tmp_path, text):
    toy = make_toy(tmp_path / 'toy', text)
    plan = toy_plan(toy)
    BenchmarkRunner(plan, toy_launch(toy), slots=[{}, {}]).run()
    return plan


def write_metric(plan, cell, value):
    path = plan.work_dir / cell / 'test.json'
    values = json.loads(path.read_text())
    values['metrics']['acc/top1'] = value
    path.write_text(json.dumps(values))


def test_a_searched_average_is_the_mean_of_its_targets(tmp_path):
    """The chosen trials have different seeds, yet each is one of the runs."""
    plan = finished(tmp_path, PLAN + 'search: {trials: 1, reruns: 1}\n')
    path = plan.work_dir / 'GMP/A/trial-01/seed-1/train.json'
    values = json.loads(path.read_text())
    values['metrics']['acc/top1'] = 0.9
    path.write_text(json.dumps(values))
    runner = BenchmarkRunner(plan, toy_launch(tmp_path / 'toy'))
    assert runner.run()
    results = collect_results(plan, list_cells(plan))
    (table,) = tables(results)
    gmp = table.means.loc['GMP']
    assert gmp['n'].to_dict() == {'H': 2, 'A': 2, 'avg': 2}
    assert gmp['mean']['avg'] == pytest.approx(
        (gmp['mean']['H'] + gmp['mean']['A']) / 2
    )
    pairs = table.differences.loc[('GMP', 'ERM')]['n']
    assert (pairs['H'], pairs['A']) == (2, 1)


def test_a_number_that_is_not_defined_is_left_out_and_said(tmp_path):
    plan = finished(tmp_path, PLAN)
    write_metric(plan, 'GMP/H/seed-1', float('nan'))
    results = collect_results(plan, list_cells(plan))
    (table,) = tables(results)
    assert table.means.loc[('GMP', 'H'), 'n'] == 1
    assert table.differences.loc[('GMP', 'ERM', 'H'), 'n'] == 1
    files = write_report(results)
    data = json.loads(
        files[0].read_text(), parse_constant=lambda word: pytest.fail(word)
    )
    run = next(
        r for r in data['runs']
        if (r['method'], r['target'], r['seed']) == ('GMP', 'H', 1)
    )  # fmt: skip
    assert run['test/acc/top1'] is None
    assert 'target is NOT defined in 1 cells' in files[2].read_text()


def test_failures_and_unknown_metrics_are_said(tmp_path):
    text = PLAN + 'metrics: {target: test/acc/top1, x: test/acc/topp1}\n'
    plan = finished(tmp_path, text)
    cell = plan.work_dir / 'GMP/A/seed-0'
    (cell / 'test.json').unlink()
    (cell / 'failure.json').write_text('{"stage": "test", "code": 1}')
    shown = write_report(collect_results(plan, list_cells(plan)))
    text = shown[2].read_text()
    assert '1 cells FAILED, see below' in text
    assert '| GMP |  | A | 0 | test ended with 1: ' in text
    assert 'No finished cell reports test/acc/topp1 (x).' in text


def test_a_heat_map_has_no_number_from_a_part_of_its_runs(tmp_path):
    text = PLAN.replace(
        'GMP: gmp.py',
        f'GMP: {{config: "gmp.py", {SWEEP}}}',
    )
    plan = finished(tmp_path, text)
    whole = write_report(collect_results(plan, list_cells(plan)))[3]
    assert '<!-- 75.5 -->' in whole.read_text()
    for path in plan.work_dir.glob('GMP/A/a=*/*/test.json'):
        path.unlink()
    part = write_report(collect_results(plan, list_cells(plan)))[3]
    assert 'Sensitivity of GMP' not in part.read_text()


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


def test_a_method_may_have_comparisons_of_its_own(tmp_path):
    text = PLAN.replace('compare_to: [ERM]', 'compare_to: []').replace(
        'GMP: gmp.py',
        "GMP: {config: 'gmp.py', compare_to: [ERM]}",
    )
    toy = make_toy(tmp_path / 'toy', text)
    plan = toy_plan(toy)
    BenchmarkRunner(plan, toy_launch(toy), slots=[{}]).run()
    (table,) = tables(collect_results(plan, list_cells(plan)))
    pairs = {(a, b) for a, b, _ in table.differences.index}
    assert pairs == {('GMP', 'ERM')}
