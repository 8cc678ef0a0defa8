"""A plan is data: it runs nothing and its names stay names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmgmp.apis.benchmark import load_plan
from mmgmp.apis.benchmark.cells import Cell, plan_cells
from mmgmp.apis.benchmark.plan_file import read_plan_file
from tests.fuzzing import fuzz

from .toy import PLAN, make_toy, toy_plan

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / 'configs/plans').glob('*.yml'))
FULL = (
    PLAN.replace(
        'GMP: gmp.py',
        'GMP: {config: gmp.py, overrides: {a.b: 1}, '
        'sweep: [{alpha: [0.0, 0.5]}]}',
    )
    + """
overrides: {b: [1, two]}
parameters: {alpha: a.b}
metrics: {target: test/acc/top1}
evaluations: {no audio: {overrides: {b: 1}}}
modalities: {A: [audio]}
checkpoint: last
work_dir: runs
"""
)
NAMED = {
    '..': 'signs of a path',
    '../../escape': 'signs of a path',
    '/etc/x': 'signs of a path',
    'a\\b': 'signs of a path',
    'a/./b': 'signs of a path',
    '***': 'letter or digit',
    '': 'one line that can be printed',
    '  ': 'one line that can be printed',
    'a\nb': 'one line that can be printed',
    'a\0b': 'one line that can be printed',
    'a\tb': 'one line that can be printed',
    'a\x1b[31mb': 'one line that can be printed',
    '\u202egnp': 'one line that can be printed',
    'L' * 300: 'at most 243 bytes',
    '模' * 100: 'at most 243 bytes',
}


def load(tmp_path: Path, text: str, name: str = 'plan.yml'):
    toy = make_toy(tmp_path / 'toy')
    (toy / name).write_text(text, encoding='utf-8')
    return load_plan(toy / name, toy / 'runs')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_plans_inherit_as_configs_of_mmengine_do(path):
    expected = Config.fromfile(path).to_dict()
    found = read_plan_file(path)
    assert found == expected
    assert list(found['methods']) == list(expected['methods'])


@pytest.mark.parametrize(
    'text',
    [
        'title: !!python/object/apply:os.mkdir ["ran"]\n',
        'title: !!python/name:os.mkdir\n',
        '_base_: evil.py\n',
        '_base_: evil.yml\n',
        '_base_: [base.yml, evil.py]\n',
    ],
)
def test_a_plan_of_data_runs_nothing(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy = make_toy(tmp_path / 'toy')
    program = 'import os\nos.mkdir("ran")\n'
    (toy / 'evil.py').write_text(program)
    (toy / 'base.yml').write_text('title: base\n')
    (toy / 'evil.yml').write_text('a: !!python/object/apply:os.mkdir [ran]')
    (toy / 'plan.yml').write_text(PLAN.replace('title: Toy\n', text))
    with pytest.raises(ValueError, match='must be'):
        toy_plan(toy)
    assert not (tmp_path / 'ran').exists()


def test_a_plan_in_python_is_code(tmp_path):
    plan = {**yaml.safe_load(PLAN), 'title': 'Python'}
    text = ''.join(f'{key} = {value!r}\n' for key, value in plan.items())
    assert load(tmp_path, text, 'plan.py').title == 'Python'


def test_a_plan_in_json_is_data(tmp_path):
    text = json.dumps(yaml.safe_load(PLAN))
    assert load(tmp_path, text, 'plan.json').corpus == 'toys'


def test_a_base_may_not_be_itself(tmp_path):
    with pytest.raises(ValueError, match='inherits from itself'):
        load(tmp_path, PLAN + '_base_: plan.yml\n')


def test_two_bases_may_not_set_the_same_key(tmp_path):
    toy = make_toy(tmp_path / 'toy')
    for name in ('a.yml', 'b.yml'):
        (toy / name).write_text('keep: best\n')
    (toy / 'plan.yml').write_text(PLAN + '_base_: [a.yml, b.yml]\n')
    with pytest.raises(ValueError, match=r"plan\.yml .*\['keep'\] in several"):
        toy_plan(toy)


def test_a_config_in_yaml_is_refused(tmp_path):
    with pytest.raises(ValueError, match='must name a Python or JSON config'):
        load(tmp_path, PLAN.replace('erm.py', 'erm.yml'))


@pytest.mark.parametrize('name', NAMED, ids=lambda name: ascii(name[:12]))
@pytest.mark.parametrize('key', ['methods', 'targets', 'modalities'])
def test_a_name_cannot_lead_elsewhere(key, name, tmp_path):
    plan = yaml.safe_load(PLAN)
    plan[key] = {**plan.get(key, {'A': ['audio']}), name: 'erm.py'}
    if key == 'modalities' and not name:
        pytest.skip('a single set of modalities goes without a name')
    with pytest.raises(ValueError, match=f'{key} must have names') as caught:
        load(tmp_path, json.dumps(plan), 'plan.json')
    assert NAMED[name] in str(caught.value)
    assert 'plan.json' in str(caught.value)
    assert not (tmp_path / 'toy/runs').exists()


@pytest.mark.parametrize('key', ['title', 'corpus'])
def test_a_title_is_one_line(key, tmp_path):
    plan = {**yaml.safe_load(PLAN), key: 'a\n# b'}
    with pytest.raises(ValueError, match=f'{key} must be a word or number'):
        load(tmp_path, json.dumps(plan), 'plan.json')


def test_ordinary_names_are_no_paths(tmp_path):
    text = PLAN.replace('GMP:', '"w/o k, 模型 [a] + b..c":')
    plan = load(tmp_path, text)
    names = [cell.name for cell in plan_cells(plan, lambda cell: None)]
    assert 'w-o-k-模型-a-+-b..c/H/seed-0' in names


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('GMP:', 'Report.json:', 'must not be named as the report is'),
        (
            'seeds',
            'evaluations: {"c e": {}, c-e: {}}\nseeds',
            r"\['c e', 'c-e'",
        ),
        ('seeds', 'evaluations: {Failure: {}}\nseeds', r"named \['Failure'\]"),
        ('title: Toy', 'title: Toy\ntitle: B', 'twice in one mapping'),
        ('[0, 1]', '[0, 1]\nsynthetic: "no"', 'synthetic'),
        ('synthetic: true', 'synthetic: "no"', 'synthetic must be one of'),
        ('{H: h, A: a}', '{}', 'targets must be in the plan'),
        ('{H: h, A: a}', '[H, H]', 'targets must be a list of different'),
        ('{H: h, A: a}', '{H: {a: 1}}', 'targets.H must have no keys but'),
        ('[ERM]', 'ERM', 'compare_to must be a list'),
        ('corpus: toys', 'corpus: [toys]', 'corpus must be a word'),
        ('title: Toy', 'names: [a]', 'names must be a mapping'),
        ('title: Toy', 'overrides: [a]', 'overrides must be a mapping'),
        ('title: Toy', 'search: {trials: two}', "trials must be .* got 'two'"),
        ('title: Toy', 'search: {startup: 0}', 'startup must be >= 1 .*got 0'),
        ('title: Toy', 'search: 3', 'search must be a mapping'),
        (
            'GMP: gmp.py',
            'GMP: {config: a.py, sweep: {a: [1]}}',
            r'methods.GMP.sweep must be a list of grids',
        ),
        (
            'GMP: gmp.py',
            'GMP: {config: a.py, space: {a: [.nan, 1]}}',
            r'methods.GMP.space.a must be \[low, high\]',
        ),
    ],
)
def test_a_value_of_another_kind_names_its_key(old, new, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, PLAN.replace(old, new))
    assert 'plan.yml' in str(caught.value)


def test_settings_that_make_too_long_a_name_are_refused(tmp_path):
    parameter = 'p' * 250
    sweep = f'GMP: {{config: gmp.py, sweep: [{{{parameter}: [1]'
    plan = load(tmp_path, PLAN.replace('GMP: gmp.py', sweep + '}]}'))
    with pytest.raises(ValueError, match='settings of methods.GMP must have'):
        plan_cells(plan, lambda cell: None)


def test_damaged_plans_are_read_or_named(tmp_path):
    folder = make_toy(tmp_path / 'toy')

    def read(path: Path) -> list[Cell]:
        return plan_cells(load_plan(path, folder / 'runs'), lambda cell: None)

    def stay_inside(cells: list[Cell]) -> bool:
        runs = folder / 'runs'
        folders = [(runs / cell.name).resolve() for cell in cells]
        return all(place.is_relative_to(runs) for place in folders)

    originals = {
        'plain.yml': FULL.encode(),
        'wide.yml': FULL.encode('utf-16'),
        'data.json': json.dumps(yaml.safe_load(FULL)).encode(),
    }
    findings = fuzz(read, originals, folder, check=stay_inside)
    assert not findings


@pytest.mark.parametrize(
    'more',
    [
        'search: {trials: 2147483647}\n',
        'search: {reruns: 2147483647}\n',
        'parameters: {a: b}\n',
    ],
)
def test_a_number_of_runs_that_no_plan_has_is_refused(more, tmp_path):
    grid = {f'p{number}': list(range(10)) for number in range(9)}
    plan = yaml.safe_load(PLAN + more)
    if 'search' not in plan:
        plan['methods']['GMP'] = {'config': 'gmp.py', 'sweep': [grid]}
    with pytest.raises(ValueError, match='at most 10000'):
        load(tmp_path, json.dumps(plan), 'plan.json')


def test_a_damaged_search_is_named(tmp_path):
    toy = make_toy(tmp_path / 'toy', PLAN + 'search: {trials: 1}\n')
    (toy / 'runs').mkdir()
    (toy / 'runs/search.log').write_bytes(b'{"op_code": 0}\nhalf\n[1]\n')
    with pytest.raises(ValueError, match=r'search\.log is damaged .*delete'):
        plan_cells(toy_plan(toy), lambda cell: None)
