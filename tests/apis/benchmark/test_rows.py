"""Rows that are made of other rows: ensembles, and trainings from them."""

from __future__ import annotations

import json
import pickle

import pytest
import torch

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    load_plan,
    tables,
    write_report,
)
from mmgmp.apis.benchmark.cell_state import State

from .toy import PLAN, calls, make_toy, toy_launch, toy_plan

ENSEMBLE = '  UME: {ensemble: [ERM, GMP]}\n'
TAUGHT = """  UMT:
    config: gmp.py
    overrides: {model.teacher: '{best:ERM}'}
"""
VALIDATION = 'val_dataloader = dict(dataset=dict())\nval_evaluator = dict()\n'
#: Probabilities of class 0, all of it true, by sample.
SAID = {'ERM': {'a': 0.7, 'b': 0.2, 'c': 0.1}, 'GMP': {'b': 0.9, 'a': 0.4}}


def dump(said):
    return pickle.dumps(
        [
            {
                'sample_id': name,
                'domain': 'h',
                'gt_label': torch.tensor([0]),
                'pred_score': torch.tensor([p, 1 - p]),
                'modality_scores': {'audio': torch.tensor([p, 1 - p])},
            }
            for name, p in said.items()
        ]
    )


def make(tmp_path, rows, seeds='[0]', more='', targets='{H: h}'):
    """The rows come first: they wait for those behind them."""
    text = PLAN.replace('methods:\n', f'methods:\n{rows}')
    text = text.replace('seeds: [0, 1]', f'seeds: {seeds}')
    text = text.replace('{H: h, A: a}', targets)
    toy = make_toy(tmp_path / 'toy', text + more)
    for name in ('erm', 'gmp'):
        with open(toy / f'{name}.py', 'a') as config:
            config.write(VALIDATION)
    for name, said in SAID.items():
        (toy / f'template/{name}.pkl').write_bytes(dump(said))
    return toy


def run(toy, **kwargs):
    events = []
    plan = toy_plan(toy)
    made = BenchmarkRunner(
        plan, toy_launch(toy), report=events.append, **kwargs
    )
    return made.run(), [f'{e.name} {e.what}' for e in events]


def files_of(toy, name):
    return next(f for f in list_cells(toy_plan(toy)) if f.cell.name == name)


def test_an_ensemble_waits_for_its_members_and_trains_nothing(tmp_path):
    toy = make(tmp_path, ENSEMBLE, targets='{H: h, A: a}')
    is_done, events = run(toy, slots=[{}, {}])
    assert is_done
    assert not [call for call in calls(toy) if 'UME' in call]
    assert 'ERM/H/seed-0/source' in calls(toy)
    for target in 'HA':
        place = events.index(f'UME/{target}/seed-0 done')
        for member in ('ERM', 'GMP'):
            assert events.index(f'{member}/{target}/seed-0 done') < place
    # a: (.7 + .4) / 2, b: (.2 + .9) / 2, and c is not in both.
    found = files_of(toy, 'UME/H/seed-0').read('test')
    assert found['metrics']['acc/top1'] == 1.0
    assert (found['samples'], found['left_out']) == (2, {'ERM': 1, 'GMP': 0})

    plan = toy_plan(toy)
    results = collect_results(plan, list_cells(plan))
    (table,) = tables(results)
    assert table.means.loc[('UME', 'avg'), 'mean'] == 100
    report = {p.suffix: p.read_text() for p in write_report(results)}
    assert 'UME trains nothing: the mean probability of ERM' in report['.md']
    assert 'test: the 2 samples that all members have' in report['.html']
    row = json.loads(report['.json'])['runs'][0]
    assert (row['method'], row['val/acc/top1']) == ('UME', 1.0)
    before = len(calls(toy))
    assert run(toy) == (True, [])
    assert len(calls(toy)) == before


def test_weights_are_chosen_on_the_source(tmp_path):
    row = '  UME: {ensemble: {members: [ERM, GMP], weights: validation}}\n'
    toy = make(tmp_path, row)
    source = dump({'a': 0.9, 'b': 0.9})
    (toy / 'template/ERM.pkl').unlink()
    (toy / 'template/seed-0.pkl').write_bytes(dump({'a': 0.1, 'b': 0.6}))
    assert run(toy)[0]
    # Any weights are as good here: the nearest to equal are taken.
    found = files_of(toy, 'UME/H/seed-0').read('test')
    assert found['weights'] == {'ERM': 0.5, 'GMP': 0.5}
    for member, said in (('ERM', source), ('GMP', dump({'a': 0, 'b': 0}))):
        folder = toy / f'runs/{member}/H/seed-0/source'
        (folder / 'predictions.pkl').write_bytes(said)
    for stage in ('source', 'test'):
        files_of(toy, 'UME/H/seed-0').stage_file(stage).unlink()
    assert run(toy)[0]
    found = files_of(toy, 'UME/H/seed-0').read('test')
    assert found['weights'] == {'ERM': 0.6, 'GMP': 0.4}


@pytest.mark.parametrize('rows', [ENSEMBLE, TAUGHT], ids=['UME', 'UMT'])
def test_a_member_that_failed_fails_the_row(rows, tmp_path):
    toy = make(tmp_path, rows, targets='{H: h, A: a}')
    (toy / 'template/fail').write_text('ERM/H')
    is_done, _ = run(toy)
    assert not is_done
    name = rows.split(':')[0].strip()
    failed = files_of(toy, f'{name}/H/seed-0')
    assert failed.state() is State.FAILED
    assert files_of(toy, f'{name}/A/seed-0').state() is State.DONE
    assert not failed.folder.exists()
    plan = toy_plan(toy)
    cells = collect_results(plan, list_cells(plan)).cells
    (why,) = cells[(cells['method'] == name) & (cells['state'] == 'failed')][
        'failure'
    ]
    assert 'it needs ERM/H/seed-0: train ended with 3: the toy is br' in why
    # Its own state follows, once the member is repaired.
    (toy / 'template/fail').unlink()
    assert run(toy, retry_failed=True)[0]


def test_predictions_that_do_not_fit_fail_the_row_alone(tmp_path):
    toy = make(tmp_path, ENSEMBLE)
    (toy / 'template/GMP.pkl').write_bytes(dump({'z': 0.5}))
    is_done, events = run(toy)
    assert not is_done
    failed = files_of(toy, 'UME/H/seed-0').failure()
    assert failed.what == 'source ended with an error'
    assert 'must have samples in common' in failed.words
    assert 'GMP/H/seed-0 done' in events


def test_a_checkpoint_of_another_cell_is_named_when_it_is_there(tmp_path):
    toy = make(tmp_path, TAUGHT, seeds='[0, 1]')
    assert run(toy, slots=[{}, {}])[0]
    started = calls(toy)
    for seed in (0, 1):
        log = (toy / f'runs/UMT/H/seed-{seed}/train.log').read_text()
        best = f'{toy}/runs/ERM/H/seed-{seed}/best_acc_top1_epoch_1.pth'
        assert f'model.teacher={best}' in log
        first = started.index(f'ERM/H/seed-{seed}/test')
        assert first < started.index(f'UMT/H/seed-{seed}')
    assert not [call for call in started if call.endswith('source')]


def test_a_member_that_is_trained_again_makes_the_row_stale(tmp_path):
    toy = make(tmp_path, TAUGHT)
    run(toy)
    path = toy / 'runs/ERM/H/seed-0/train.json'
    values = json.loads(path.read_text())
    values['metrics']['acc/top1'] = 0.625
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match='other settings in .*UMT/H/seed-0'):
        run(toy)


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ('  U: {ensemble: [ERM]}\n', 'ensemble.members must name two rows'),
        (
            '  U: {ensemble: [ERM, SAM]}\n',
            r"methods.U: a row it needs must be one of \['ERM', 'GMP'\]",
        ),
        (
            '  U: {ensemble: [ERM, V]}\n  V: {ensemble: [ERM, GMP]}\n',
            "needs must be one of .*, got 'V'; name a row that is trained",
        ),
        (
            "  U: {config: gmp.py, overrides: {a.b: '{best:V}'}}\n"
            "  V: {config: gmp.py, overrides: {a.b: '{best:U}'}}\n",
            'must not wait for each other, got U needs V needs U',
        ),
        ('  U: {averaged: ema}\n', 'methods.U must have a config or an en'),
        (
            '  U: {config: a.py, ensemble: [ERM, GMP]}\n',
            'methods.U must have a config or an ensemble',
        ),
        (
            '  U: {ensemble: [ERM, GMP], averaged: ema}\n',
            r"methods.U must set no \['averaged'\]",
        ),
    ],
)
def test_rows_that_cannot_be_made(rows, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        toy_plan(make(tmp_path, rows))


def test_a_path_that_no_command_line_carries_is_refused_at_once(tmp_path):
    toy = make(tmp_path, TAUGHT.replace('best:ERM', 'best:My row'))
    text = (toy / 'plan.yml').read_text().replace('[ERM]', '[]')
    (toy / 'plan.yml').write_text(text.replace('  ERM:', '  My row:'))
    plan = load_plan(toy / 'plan.yml', toy / 'my runs')
    with pytest.raises(ValueError, match='work_dir must be .*my runs/My-row'):
        BenchmarkRunner(plan, toy_launch(toy))
    assert run(toy)[0]


def test_a_search_knows_no_other_rows(tmp_path):
    toy = make(tmp_path, TAUGHT, more='search: {trials: 1}\n')
    with pytest.raises(ValueError, match='no other row in a plan with a se'):
        toy_plan(toy)
