"""Damaged files of a cell count as not done, and stop nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
)
from mmgmp.apis.benchmark.cell_folder import read_json
from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.report.conditions import conditions
from tests.fuzzing import fuzz

from .toy import PLAN, calls, make_toy, toy_launch, toy_plan

ONE = PLAN.replace('{H: h, A: a}', '{H: h}').replace('[0, 1]', '[0]')
ONE += 'keep: all\n'
DAMAGE = {
    'empty': b'',
    'cut': b'{"checkpoint": "a',
    'list': b'[1]',
    'zeros': bytes(100),
    'text': b'{"metrics": "high"}',
    'no numbers': b'{"metrics": {"acc/top1": "high"}, "checkpoint": "a"}',
    'path': b'{"metrics": {}, "checkpoint": "../../a.pth"}',
    'facts': b'{"metrics": {}, "checkpoint": "a", "facts": {"clips": 1}}',
}


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """A finished plan of two cells, to be copied."""
    toy = make_toy(tmp_path_factory.mktemp('done') / 'toy', ONE)
    assert BenchmarkRunner(toy_plan(toy), toy_launch(toy), [{}]).run()
    return toy


@pytest.fixture
def toy(done, tmp_path):
    shutil.copytree(done, tmp_path / 'toy')
    return tmp_path / 'toy'


def resume(toy: Path, resume: bool = True) -> list[str]:
    """Run again; return the stages that were started."""
    before = len(calls(toy))
    made = BenchmarkRunner(toy_plan(toy), toy_launch(toy), [{}], resume=resume)
    assert made.run()
    return calls(toy)[before:]


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_stage_is_done_again(damage, toy):
    cell = toy / 'runs/GMP/H/seed-0'
    (cell / 'train.json').write_bytes(DAMAGE[damage])
    (files,) = [f for f in list_cells(toy_plan(toy)) if f.cell.method == 'GMP']
    assert files.state() is State.INTERRUPTED
    # Its checkpoints and the test's own file are whole: nothing to run.
    assert resume(toy) == []
    assert files.state() is State.DONE
    assert read_json(cell / 'train.json')['metrics']['acc/top1'] == 0.5


def test_a_training_done_again_is_tested_again(toy):
    cell = toy / 'runs/GMP/H/seed-0'
    (cell / 'train.json').write_bytes(b'')
    (cell / 'epoch_2.pth').unlink()
    assert resume(toy) == ['GMP/H/seed-0', 'GMP/H/seed-0/test']


@pytest.mark.parametrize('damage', ['empty', 'cut', 'list', 'zeros', 'text'])
def test_a_damaged_test_is_done_again(damage, toy):
    (toy / 'runs/GMP/H/seed-0/test.json').write_bytes(DAMAGE[damage])
    assert resume(toy, resume=False) == ['GMP/H/seed-0/test']


@pytest.mark.parametrize('damage', ['empty', 'cut', 'list', 'zeros'])
def test_a_damaged_cell_file_of_a_trained_cell_is_mended(damage, toy):
    path = toy / 'runs/GMP/H/seed-0/cell.json'
    whole = read_json(path)
    path.write_bytes(DAMAGE[damage])
    assert resume(toy, resume=False) == []
    mended = read_json(path)
    assert mended.pop('config') != whole.pop('config')  # the toy was copied
    assert mended == whole


def test_checkpoints_of_unknown_settings_are_not_continued(toy):
    cell = toy / 'runs/GMP/H/seed-0'
    for name in ('train.json', 'test.json'):
        (cell / name).unlink()
    (cell / 'cell.json').write_bytes(b'')
    assert resume(toy) == ['GMP/H/seed-0', 'GMP/H/seed-0/test']
    assert list((cell / 'aborted-1').glob('*.pth'))


def test_settings_are_compared_though_the_cell_file_is_damaged(toy):
    for path in (toy / 'runs').glob('*/H/seed-0/cell.json'):
        path.write_bytes(b'')
    plan = toy_plan(toy, overrides={'train_cfg.max_epochs': 3})
    with pytest.raises(ValueError, match='other settings in 2 files'):
        BenchmarkRunner(plan, toy_launch(toy), [{}])


@pytest.mark.parametrize('content', [b'', b'[1]', b'{"a', b'\xff', b'"acc/"'])
def test_a_damaged_result_is_passed_over(content, toy):
    cell = toy / 'runs/GMP/H/seed-0'
    (cell / 'test.json').unlink()
    later = cell / 'test/99990101_000000'
    later.mkdir()
    (later / 'a.json').write_bytes(content)
    assert resume(toy, resume=False) == ['GMP/H/seed-0/test']
    assert read_json(cell / 'test.json')['metrics']['acc/top1'] == 0.76


def test_a_damaged_table_of_ratios_is_left_out(toy):
    plan = toy_plan(toy)
    for path in (toy / 'runs').glob('*/H/seed-0'):
        (path / 'task_gradients.csv').write_bytes(b'iteration,semantic\n1\n')
    assert collect_results(plan, list_cells(plan)).num_done == 2


def test_damaged_files_of_a_cell_stop_nothing(toy):
    plan = toy_plan(toy)
    cell = toy / 'runs/GMP/H/seed-0'
    whole = {
        name: (cell / name).read_bytes()
        for name in ('cell.json', 'train.json', 'test.json')
    }

    def read(path: Path) -> list[CellFiles]:
        name = path.name.partition('_')[2]
        (cell / name).write_bytes(path.read_bytes())
        try:
            cells = list_cells(plan)
            for files in cells:
                files.stale_files()
            conditions(collect_results(plan, cells))
        finally:
            (cell / name).write_bytes(whole[name])
        return cells

    assert not fuzz(read, whole, toy, errors=())
    assert json.loads((cell / 'cell.json').read_text())['seed'] == 0
