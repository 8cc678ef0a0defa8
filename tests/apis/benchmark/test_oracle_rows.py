"""Rows whose target is trained on say so: oracles, and tests in domain."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    write_report,
)

from .toy import PLAN, make_toy, toy_launch, toy_plan

ROOT = Path(__file__).resolve().parents[3]
ROW = """  Oracle:
    config: erm.py
    overrides: {protocol.oracle: true}
  ERM + Oracle: {ensemble: [ERM, Oracle]}
targets:"""


def test_a_dry_run_hands_the_option_to_training_and_test(
    tmp_path, capsys, monkeypatch
):
    toy = make_toy(tmp_path / 'toy', PLAN.replace('targets:', ROW))
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import run_benchmark

    words = ['--work-dir', str(toy / 'runs'), '--dry-run']
    assert run_benchmark.main([str(toy / 'plan.yml'), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    own = [x for x in lines if '/Oracle/H/seed-0' in x and 'tools/' in x]
    assert ['train.py' in own[0], 'test.py' in own[1]] == [True, True]
    assert all('protocol.oracle=True' in line for line in own)
    assert not any('oracle' in x for x in lines if '/ERM/' in x)


def test_every_report_says_which_rows_are_oracles(tmp_path):
    text = PLAN.replace('targets:', ROW.rpartition('  ERM +')[0] + 'targets:')
    toy = make_toy(tmp_path / 'toy', text.replace('[0, 1]', '[0]'))
    plan = toy_plan(toy)
    assert BenchmarkRunner(plan, toy_launch(toy), slots=[{}]).run()
    files = write_report(collect_results(plan, list_cells(plan)))
    found = {path.suffix: path.read_text() for path in files}
    report = json.loads(found['.json'])
    assert report['trained_on_target'] == ['Oracle']
    for row in csv.DictReader(found['.csv'].splitlines()):
        target = {'H': 'h', 'A': 'a'}[row['target']]
        expected = target if row['method'] == 'Oracle' else ''
        assert row['trained_on_target'] == expected
    assert '| Oracle ‡ | ' in found['.md']
    assert '| Oracle ‡ - ERM |' in found['.md']
    for kind in ('.md', '.html'):
        assert 'NOT a result of domain generalisation' in found[kind]


def test_a_mean_with_an_oracle_is_one(tmp_path):
    toy = make_toy(tmp_path / 'toy', PLAN.replace('targets:', ROW))
    plan = toy_plan(toy)
    results = collect_results(plan, list_cells(plan))
    assert results.oracles == ['Oracle', 'ERM + Oracle']


def test_every_report_says_that_no_domain_is_unseen(tmp_path):
    text = PLAN.replace(
        'targets: {H: h, A: a}',
        'targets: {test split: {overrides: '
        '{protocol.in_domain: true, protocol.target: null}}}',
    )
    toy = make_toy(tmp_path / 'toy', text.replace('[0, 1]', '[0]'))
    plan = toy_plan(toy)
    results = collect_results(plan, list_cells(plan))
    assert (results.in_domain, results.oracles) == (['ERM', 'GMP'], [])
    found = {p.suffix: p.read_text() for p in write_report(results)}
    report = json.loads(found['.json'])
    assert report['in_domain'] == ['ERM', 'GMP']
    for kind in ('.md', '.html'):
        assert 'NOT a result of domain generalisation' in found[kind]
        assert 'no domain is unseen' in ' '.join(found[kind].split())
        assert 'never sees' not in found[kind]
        assert 'unseen target' not in found[kind]
