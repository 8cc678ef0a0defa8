from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    load_plan,
    write_report,
)
from mmgmp.apis.benchmark.averaging import find_average
from mmgmp.apis.benchmark.checks import check_configs

from .toy import CONFIG, PLAN, make_toy, toy_launch, toy_plan

ROOT = Path(__file__).resolve().parents[3]
TEACHER = "default_hooks['teacher'] = dict(type='TeacherHook', momentum=0.5)\n"
SMA = '{config: gmp.py, averaged: sma}'


def averaged(tmp_path, row, more=''):
    text = PLAN.replace('GMP: gmp.py', f'GMP: {row}') + more
    return make_toy(tmp_path / 'toy', text)


def hooks(plan, method):
    (files, *_) = [f for f in list_cells(plan) if f.cell.method == method]
    return files.config().default_hooks


@pytest.mark.parametrize(
    ('row', 'more', 'expected'),
    [
        ('averaged: ema', '', 'EMA, momentum 0.001'),
        (
            'averaged: ema',
            'averaging: {ema: {momentum: 0.02}}',
            'EMA, momentum 0.02',
        ),
        (
            'averaged: {ema: {momentum: 0.5, begin_epoch: 2}}',
            'averaging: {ema: {momentum: 0.02}}',
            'EMA, momentum 0.5, from epoch 2',
        ),
        (
            'averaged: sma',
            'averaging: {sma: {begin_iter: 28}}',
            'SMA, from iteration 28',
        ),
    ],
)
def test_any_row_can_be_averaged(row, more, expected, tmp_path):
    toy = averaged(tmp_path, f'{{config: gmp.py, {row}}}', more)
    found = hooks(toy_plan(toy), 'GMP')
    assert find_average({'default_hooks': found}) == expected
    assert (found.teacher.validate, found.teacher.save) == ('teacher',) * 2
    assert 'teacher' not in hooks(toy_plan(toy), 'ERM')


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ('swa', r"averaged must be one of \['ema', 'sma'\], got 'swa'"),
        ('{ema: {}, sma: {}}', 'averaged must name one kind'),
        ('{sma: {momentum: 0.1}}', r'averaged.sma must have no keys but'),
        ('{ema: {momentum: 1.0}}', r'ema.momentum must be in \(0, 1\)'),
        ('{ema: {begin_iter: -1}}', r'begin_iter must be an integer >= 0'),
    ],
)
def test_what_cannot_be_averaged(value, message, tmp_path):
    toy = averaged(tmp_path, f'{{config: gmp.py, averaged: {value}}}')
    with pytest.raises(ValueError, match=message):
        toy_plan(toy)


def test_a_config_with_a_teacher_gets_no_second_one(tmp_path):
    toy = averaged(tmp_path, SMA)
    (toy / 'gmp.py').write_text(CONFIG + TEACHER)
    with pytest.raises(ValueError, match=r'averaged of methods.GMP must be'):
        check_configs(list_cells(toy_plan(toy)))
    # Its own options can be set.
    row = '{config: gmp.py, overrides: {default_hooks.teacher.momentum: 0.1}}'
    (toy / 'plan.yml').write_text(PLAN.replace('gmp.py', row))
    assert hooks(toy_plan(toy), 'GMP').teacher.momentum == 0.1


def test_a_row_equals_the_config_of_its_own(tmp_path):
    """A leaf or an option of the plan: two spellings of one training."""
    text = (
        "_base_: '{plans}/{corpus}.yml'\n"
        "methods: {{leaf: '{leaf}', row: {{config: '{base}', "
        'averaged: ema}}}}\n'
    )
    for corpus in ('mini-hac', 'hac', 'epic'):
        plan = tmp_path / f'{corpus}.yml'
        stem = str(ROOT / 'configs/gmp/gmp{}_') + f'{corpus}.py'
        paths = {'leaf': stem.format('-ema'), 'base': stem.format('')}
        plans = ROOT / 'configs/plans/_base_'
        plan.write_text(text.format(plans=plans, corpus=corpus, **paths))
        found = load_plan(plan, tmp_path / 'runs')
        leaf, row = (find_average({'default_hooks': hooks(found, m)})
                     for m in ('leaf', 'row'))  # fmt: skip
        assert leaf == row != ''


def test_every_report_says_which_rows_are_averaged(tmp_path):
    toy = averaged(tmp_path, SMA, 'averaging: {sma: {begin_iter: 1}}')
    text = (toy / 'plan.yml').read_text()
    text = text.replace('{H: h, A: a}', '{H: h}').replace('[0, 1]', '[0]')
    (toy / 'plan.yml').write_text(text)
    # ERM brings its own.
    (toy / 'erm.py').write_text(CONFIG + TEACHER)
    plan = toy_plan(toy)
    BenchmarkRunner(plan, toy_launch(toy), slots=[{}, {}]).run()
    files = write_report(collect_results(plan, list_cells(plan)))
    found = {path.suffix: path.read_text() for path in files}
    expected = {'ERM': 'EMA, momentum 0.5', 'GMP': 'SMA, from iteration 1'}
    assert json.loads(found['.json'])['averaged'] == expected
    for row in csv.DictReader(found['.csv'].splitlines()):
        assert row['averaged'] == expected[row['method']]
    assert '| GMP † | 76.00' in found['.md']
    assert '| GMP † - ERM † |' in found['.md']
    assert '<td>GMP †</td>' in found['.html']
    for kind in ('.md', '.html'):
        assert 'GMP (SMA, from iteration 1)' in found[kind]


def test_a_report_without_averages_speaks_of_none(tmp_path):
    plan = toy_plan(make_toy(tmp_path / 'toy'))
    files = write_report(collect_results(plan, list_cells(plan)))
    assert not any('†' in path.read_text() for path in files)
