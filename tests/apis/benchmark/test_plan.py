from __future__ import annotations

from pathlib import Path

import pytest

from mmgmp.apis.benchmark import list_cells, load_plan
from mmgmp.apis.benchmark.cells import (
    Cell,
    plan_cells,
)
from mmgmp.apis.benchmark.checks import check_cells, check_configs
from mmgmp.apis.benchmark.plan import Search
from mmgmp.apis.benchmark.search import Study, select_trial

from .toy import PLAN, make_toy, toy_plan

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / 'configs/plans').glob('*.yml'))
SEARCH = """
search: {trials: 3, reruns: 2, seed: 7}
parameters: {alpha: a.b}
"""
SPACE = 'GMP: {config: "gmp.py", space: {alpha: [0, 1]}}'


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path / 'toy')


def unknown(cell: Cell) -> None:
    return None


def names(plan, validation=unknown):
    return [cell.name for cell in plan_cells(plan, validation)]


def searched(tmp_path):
    text = PLAN.replace('GMP: gmp.py', SPACE)
    text = text.replace('targets: {H: h, A: a}', 'targets: {H: h}')
    return toy_plan(make_toy(tmp_path / 'toy', text + SEARCH))


def test_the_grid_is_methods_by_targets_by_seeds(toy):
    assert names(toy_plan(toy)) == [
        f'{method}/{target}/seed-{seed}'
        for method in ('ERM', 'GMP')
        for target in 'HA'
        for seed in (0, 1)
    ]


def test_the_narrower_override_wins(tmp_path):
    text = PLAN.replace(
        'GMP: gmp.py',
        'GMP: {config: "gmp.py", overrides: {a: {b: 1}, c: 1, d: 1}}',
    ).replace('{H: h', '{H: {overrides: {c: 2, d: 2}}')
    toy = make_toy(tmp_path / 'toy', text + 'overrides: {d: 3}\n')
    cells = plan_cells(toy_plan(toy, overrides={'e': 4}), unknown)
    (cell,) = [c for c in cells if c.name == 'GMP/H/seed-0']
    assert cell.overrides == {'a.b': 1, 'c': 2, 'd': 3, 'e': 4}
    assert cell.config.name == 'gmp.py'
    other = next(c for c in cells if c.name == 'GMP/A/seed-0')
    assert other.overrides['protocol.target'] == 'a'


def test_a_sweep_adds_each_combination_once(tmp_path):
    sweep = 'sweep: [{a: [0, 1], b: [0, 1]}, {b: [1], a: [1, 2]}]'
    text = PLAN.replace(
        'GMP: gmp.py',
        f'GMP: {{config: "gmp.py", {sweep}}}',
    )
    plan = toy_plan(make_toy(tmp_path / 'toy', text))
    cells = [c for c in plan_cells(plan, unknown) if c.role == 'sweep']
    assert len(cells) == 5 * 2 * 2
    assert cells[0].name == 'GMP/H/a=0-b=0/seed-0'
    target = {'protocol.target': 'h'}
    assert cells[0].overrides == {**target, 'a': 0, 'b': 0}


def test_trials_are_only_trained(tmp_path):
    cells = plan_cells(searched(tmp_path), unknown)
    assert len(cells) == 2 * 4
    assert {cell.stages for cell in cells} == {('train',)}
    assert [cell.seed for cell in cells[:4]] == [0, 1, 2, 3]
    assert cells[4].settings == {}
    drawn = [cell.settings['alpha'] for cell in cells[5:]]
    assert cells[5].overrides['a.b'] == drawn[0]
    assert all(0 <= value <= 1 for value in drawn)
    assert all(round(value, 1) == value for value in drawn)


def test_the_best_source_validation_is_run_again(tmp_path):
    plan = searched(tmp_path)
    trials = {c.name: c for c in plan_cells(plan, unknown)}
    best = 'GMP/H/trial-02/seed-2'
    cells = plan_cells(plan, lambda cell: float(cell.name == best))
    reruns = [c for c in cells if c.role == 'rerun' and c.method == 'GMP']
    (winner,) = [c for c in cells if c.role == 'winner' and c.method == 'GMP']
    assert winner.name == best
    assert winner.stages == ('train', 'test')
    assert [c.seed for c in reruns] == [4, 5]
    assert {c.settings['alpha'] for c in reruns} == {
        trials[best].settings['alpha']
    }


def test_a_search_waits_for_all_its_trials(tmp_path):
    plan = searched(tmp_path)
    cells = plan_cells(
        plan, lambda cell: None if cell.seed == 3 else float(cell.seed)
    )
    assert {cell.role for cell in cells} == {'trial'}


def test_a_tie_keeps_the_default():
    assert select_trial([0.5, 0.4, 0.5]) == 0


def study(tmp_path, space, **kwargs):
    return Study(tmp_path / 'work', 'GMP//H', Search(**kwargs), space)


def test_choices_are_drawn_from(tmp_path):
    space = {'k': {'choices': [4, 8, 12]}}
    first, *drawn = study(tmp_path, space, trials=30).settings()
    assert first == {}
    assert {settings['k'] for settings in drawn} == {4, 8, 12}


def test_a_search_that_was_cut_off_goes_on_with_the_same_trials(tmp_path):
    space = {'a': [0, 1]}
    whole = study(tmp_path / 'whole', space, trials=6).settings()
    part = study(tmp_path, space, trials=2).settings()
    assert [*part, *study(tmp_path, space, trials=6).settings()[3:]] == whole
    assert len({settings.get('a') for settings in whole}) > 3


def test_tpe_draws_one_after_the_other(tmp_path):
    made = study(tmp_path, {'a': [0, 1]}, trials=20, sampler='tpe', startup=3)
    assert len(made.settings()) == 3
    for number in range(21):
        settings = made.settings()
        assert len(settings) == max(3, number + 1)
        made.tell(number, 1 - abs(settings[number].get('a', 0) - 0.8))
    late = [settings['a'] for settings in made.settings()[12:]]
    assert abs(sum(late) / len(late) - 0.8) < 0.2


def test_a_search_of_another_space_is_refused(tmp_path):
    study(tmp_path, {'a': [0, 1]}, trials=1)
    with pytest.raises(ValueError, match='another space, sampler or seed'):
        study(tmp_path, {'a': [0, 2]}, trials=1)


def test_a_plan_may_be_written_in_python(tmp_path):
    toy = make_toy(tmp_path / 'toy')
    (toy / 'plan.py').write_text(
        "corpus = 'toys'\n"
        "methods = {m: f'{m.lower()}.py' for m in ('ERM', 'GMP')}\n"
        "targets = dict(H='h', A='a')\nseeds = list(range(2))\n"
    )
    assert names(load_plan(toy / 'plan.py')) == names(toy_plan(toy))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('seeds: [0, 1]', 'seeds: [0, 0]', 'seeds must be a list of diff'),
        ('corpus: toys', 'korpus: toys', r"no keys but .* got \['korpus'\]"),
        ('corpus: toys', '', 'corpus must be in the plan'),
        ('[ERM]', '[AGM]', r"compare_to must be one of \['ERM', 'GMP'\]"),
        (
            'GMP: gmp.py',
            'GMP: {config: a.py, compare_to: [GMP]}',
            r"methods.GMP.compare_to must be one of \['ERM'\], got 'GMP'",
        ),
        (
            'ERM: erm.py',
            'ERM: {config: a.py, space: {x: 1}}',
            r'methods.ERM.space.x must be \[low, high\]',
        ),
        ('title: Toy', 'checkpoint: oracle', 'checkpoint must be one of'),
        ('title: Toy', 'search: {trials: -1}', 'trials must be >= 0 .*got -1'),
        (
            'GMP: gmp.py',
            'GMP: {config: a.py, sweep: [{a: [1]}]}\nsearch: {trials: 1}',
            'no sweep in a plan with a search',
        ),
        ('title: Toy', 'overrides: {a: [{b: 1}]}', 'a must be a number, a wo'),
        (
            'title: Toy',
            'evaluations: {val: {overrides: {a: 1}}}',
            'must not be named',
        ),
        ('title: Toy', 'evaluations: {x: a.py}', 'evaluations.x must hold'),
        ('{H: h', '{H: {name: h}', r"no keys but \['overrides'\]"),
    ],
)
def test_a_plan_that_cannot_be_used(old, new, message, tmp_path):
    toy = make_toy(tmp_path / 'toy', PLAN.replace(old, new))
    with pytest.raises(ValueError, match=message):
        toy_plan(toy)


def test_a_missing_config_is_named(tmp_path):
    toy = make_toy(tmp_path / 'toy', PLAN.replace('gmp.py', 'gnp.py'))
    with pytest.raises(FileNotFoundError, match=r'methods.GMP.*gnp\.py'):
        list_cells(toy_plan(toy))


def test_a_missing_plan_names_where_plans_are(tmp_path):
    with pytest.raises(FileNotFoundError, match='configs/plans'):
        load_plan(tmp_path / 'none.yml')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_plans_name_configs_that_are_there(path, tmp_path):
    # A search writes into its work directory.
    plan = load_plan(path, tmp_path / 'runs')
    cells = list_cells(plan)
    assert len(cells) >= 9
    assert plan.synthetic is ('mini' in path.stem)
    check_configs(cells)


@pytest.mark.parametrize('name', ['demo', 'strategies', 'methods'])
def test_the_short_plans_have_one_target(name, tmp_path):
    # A mapping adds to the one that it inherits unless that is deleted.
    plan = load_plan(ROOT / f'configs/plans/mini-hac_{name}.yml', tmp_path)
    cells = [files.cell for files in list_cells(plan)]
    found = {cell.overrides['protocol.target'] for cell in cells}
    assert found == {'human'}


def test_every_table_has_a_plan_for_every_corpus():
    stems = {path.stem for path in SHIPPED}
    for corpus in ('mini-hac', 'hac', 'epic'):
        for table in range(1, 6):
            assert f'{corpus}_table{table}' in stems


def test_modality_sets_and_targets_are_protocol_keys(tmp_path):
    text = PLAN + 'modalities: {V: [video], V+F: [video, flow]}\n'
    text = text.replace('{H: h, A: a}', '[h, a]')
    cells = plan_cells(toy_plan(make_toy(tmp_path / 'toy', text)), unknown)
    assert {
        (c.overrides['protocol.target'], *c.overrides['protocol.modalities'])
        for c in cells
    } == {(t, *m) for t in 'ha' for m in (('video',), ('video', 'flow'))}


def test_a_domain_that_the_corpus_lacks_stops_the_plan(tmp_path):
    text = PLAN.replace('{H: h, A: a}', '{H: h, A: b}')
    plan = toy_plan(make_toy(tmp_path / 'toy', text))
    with pytest.raises(ValueError, match=r'cell ERM/A/seed-0: .*target must'):
        check_cells(plan, list_cells(plan), resume=False)
