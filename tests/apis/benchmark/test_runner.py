from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    collect_results,
    list_cells,
    tables,
)
from mmgmp.apis.benchmark.cell_state import State

from .toy import PLAN, calls, make_toy, toy_launch, toy_plan

FORK = multiprocessing.get_context('fork')


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path / 'toy')


def runner(toy, **kwargs):
    events = []
    made = BenchmarkRunner(
        toy_plan(toy), toy_launch(toy), report=events.append, **kwargs
    )
    return made, events


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'it did not happen in time'
        time.sleep(0.02)


def holder(toy, cell):
    """Process that holds a cell; it may run before its number is noted."""
    lock_file = toy / f'runs/{cell}/.lock'
    wait_for(lock_file.read_text)
    return int(lock_file.read_text())


def is_alive(pid):
    """Whether a process runs; a zombie that nobody waits for does not."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_every_cell_is_trained_and_tested_once(toy):
    made, events = runner(toy, slots=[{}, {}])
    assert made.run()
    assert len(calls(toy)) == 16
    assert len(set(calls(toy))) == 16
    assert sum(event.what == 'done' for event in events) == 8

    again, events = runner(toy)
    assert again.run()
    assert events == []
    assert len(calls(toy)) == 16


@pytest.mark.parametrize('slots', [1, 2])
def test_no_more_processes_than_slots(slots, toy):
    made, _ = runner(toy, slots=[{}] * slots)
    seen = []
    made.run(lambda: seen.append(len(made.jobs)))
    assert max(seen) == slots


def test_results_are_paired_by_seed_and_averaged(toy):
    made, _ = runner(toy)
    made.run()
    plan = toy_plan(toy)
    (table,) = tables(collect_results(plan, list_cells(plan)))
    assert table.columns == ['H', 'A', 'avg']
    assert table.means.loc[('ERM', 'H'), 'mean'] == pytest.approx(51)
    assert table.means.loc[('GMP', 'avg'), 'mean'] == pytest.approx(75.5)
    (key, difference) = list(table.differences.iterrows())[-1]
    assert key == ('GMP', 'ERM', 'avg')
    assert difference['mean'] == pytest.approx(25)
    assert difference['n'] == 2


def test_the_best_epoch_is_reported_with_its_validation(toy):
    made, _ = runner(toy)
    made.run()
    plan = toy_plan(toy)
    numbers = collect_results(plan, list_cells(plan)).numbers
    values = numbers[numbers['cell'] == 0].set_index('metric')['value']
    assert values['val/acc/top1'] == 0.5
    assert values['val/acc/top1_video'] == 0.1


def test_a_failure_is_kept_and_not_retried_by_itself(toy):
    fail = toy / 'template/fail'
    fail.write_text('GMP/H/seed-1')
    made, events = runner(toy)
    assert not made.run()
    (failed,) = [event for event in events if event.what == 'failed']
    assert failed.name == 'GMP/H/seed-1'
    with open(failed.detail) as log:
        assert 'the toy is broken' in log.read()
    (files,) = [f for f in made.cells() if f.state() is State.FAILED]
    assert files.read('failure')['code'] == 3

    fail.unlink()
    before = len(calls(toy))
    assert not runner(toy, resume=True)[0].run()
    assert len(calls(toy)) == before
    assert runner(toy, retry_failed=True)[0].run()
    assert calls(toy)[before:] == ['GMP/H/seed-1', 'GMP/H/seed-1/test']


def test_a_process_that_writes_nothing_has_failed(toy):
    for path in (toy / 'template').glob('*.pth'):
        path.unlink()
    made, _ = runner(toy)
    assert not made.run()
    failure = made.cells()[0].read('failure')
    assert failure['code'] == 'ended without a complete result'


def test_a_killed_runner_is_continued(toy):
    """The process that outlives it is waited for and its work counts."""
    slow = toy / 'template/slow'
    slow.write_text('ERM/A/seed-0')
    first = FORK.Process(target=runner(toy)[0].run)
    first.start()
    wait_for((toy / 'template/waiting').exists)
    stray = holder(toy, 'ERM/A/seed-0')
    first.kill()
    first.join()
    assert is_alive(stray)

    with pytest.raises(RuntimeError, match='1 cells were interrupted.*ERM/A'):
        runner(toy)
    second, _ = runner(toy, resume=True)

    def release():
        if 'ERM/A/seed-0' in second.busy and len(calls(toy)) > 12:
            slow.unlink(missing_ok=True)

    assert second.run(release)
    assert calls(toy).count('ERM/A/seed-0') == 1
    assert len(calls(toy)) == 16


def test_a_killed_runner_whose_process_died_too(toy):
    (toy / 'template/slow').write_text('ERM/A/seed-0')
    first = FORK.Process(target=runner(toy)[0].run)
    first.start()
    wait_for((toy / 'template/waiting').exists)
    stray = holder(toy, 'ERM/A/seed-0')
    first.kill()
    first.join()
    os.killpg(stray, 9)
    (toy / 'template/slow').unlink()
    assert runner(toy, resume=True)[0].run()
    assert calls(toy).count('ERM/A/seed-0') == 2


def test_a_signal_stops_the_processes(toy):
    (toy / 'template/slow').write_text('ERM/H/seed-0')
    first = FORK.Process(target=runner(toy)[0].run)
    first.start()
    wait_for((toy / 'template/waiting').exists)
    pid = holder(toy, 'ERM/H/seed-0')
    first.terminate()
    first.join(20)
    assert first.exitcode not in (None, 0)
    assert not is_alive(pid)
    states = [files.state() for files in list_cells(toy_plan(toy))]
    assert states.count(State.INTERRUPTED) == 1
    assert State.FAILED not in states


def test_two_runners_share_a_work_directory(toy):
    other = FORK.Process(target=runner(toy)[0].run)
    made, _ = runner(toy)
    other.start()
    assert made.run()
    other.join(20)
    assert other.exitcode == 0
    assert sorted(calls(toy)) == sorted(set(calls(toy)))
    assert len(calls(toy)) == 16


def test_cells_of_other_settings_are_refused(toy):
    runner(toy)[0].run()
    plan = toy_plan(toy, overrides={'train_cfg.max_epochs': 3})
    with pytest.raises(ValueError, match='other settings in 8 files'):
        BenchmarkRunner(plan, toy_launch(toy))


def test_mixed_precision_is_another_setting(toy):
    runner(toy)[0].run()
    with pytest.raises(ValueError, match='other settings in 8 files'):
        BenchmarkRunner(toy_plan(toy, amp=True), toy_launch(toy))


def test_another_choice_of_checkpoint_needs_the_choice_again(tmp_path):
    plan = PLAN.replace('{H: h, A: a}', '{H: h}') + 'checkpoint: last\n'
    toy = make_toy(tmp_path / 'toy', plan)
    runner(toy)[0].run()
    for path in (toy / 'runs').glob('*/H/*/test.json'):
        path.unlink()
    (toy / 'plan.yml').write_text(plan.replace('last', 'best'))
    with pytest.raises(ValueError, match='other settings in 4 .*train.json'):
        runner(toy)


def test_a_misspelt_parameter_is_refused(tmp_path):
    plan = PLAN.replace(
        'GMP: gmp.py',
        'GMP: {config: "gmp.py", sweep: [{alpha: [0, 1]}]}',
    )
    plan += 'parameters: {alpha: optim_wraper.alpha}\n'
    with pytest.raises(ValueError, match=r'alpha of methods.GMP must set a'):
        runner(make_toy(tmp_path / 'toy', plan))


def test_what_another_runner_saw_fail_is_not_retried(toy, monkeypatch):
    """It fails between a look at the state and the claim of the cell."""
    from mmgmp.apis.benchmark import runner as module

    claim_cell = module.claim_cell

    def late(folder):
        if folder.name == 'seed-1' and not (folder / 'failure.json').exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / 'failure.json').write_text('{"code": 1}')
        return claim_cell(folder)

    monkeypatch.setattr(module, 'claim_cell', late)
    assert not runner(toy)[0].run()
    assert not [call for call in calls(toy) if 'seed-1' in call]


def test_only_the_tested_checkpoint_is_kept_on_request(tmp_path):
    toy = make_toy(tmp_path / 'toy', PLAN + 'keep: best\n')
    runner(toy)[0].run()
    left = {path.name for path in (toy / 'runs/GMP/H/seed-0').glob('*.pth')}
    assert left == {'best_acc_top1_epoch_1.pth'}
    assert runner(toy)[0].run()


def test_a_search_tests_only_what_source_validation_chose(tmp_path):
    plan = PLAN.replace('seeds: [0, 1]', 'seeds: [0]')
    plan = plan.replace('targets: {H: h, A: a}', 'targets: {H: h}')
    plan += 'search: {trials: 2, reruns: 1}\n'
    toy = make_toy(tmp_path / 'toy', plan)
    assert runner(toy)[0].run()
    tested = [call for call in calls(toy) if call.endswith('/test')]
    # All validations are equal here, so the default configuration wins.
    assert sorted(tested) == [
        f'{method}/H/{cell}/test'
        for method in ('ERM', 'GMP')
        for cell in ('rerun/seed-3', 'trial-00/seed-0')
    ]
    results = collect_results(toy_plan(toy), list_cells(toy_plan(toy)))
    (table,) = tables(results)
    assert table.means['n'].tolist() == [2, 2]


def test_further_evaluations_follow_the_test(tmp_path):
    plan = PLAN + 'evaluations: {no sound: {overrides: {b: 1}}}'
    toy = make_toy(
        tmp_path / 'toy', plan + '\nmetrics: {x: no sound/acc/top1}'
    )
    assert runner(toy, slots=[{}, {}])[0].run()
    assert 'GMP/H/seed-0/no-sound' in calls(toy)
    log = (toy / 'runs/GMP/H/seed-0/no-sound.log').read_text()
    assert f'{toy}/gmp.py {toy}/runs/GMP/H/seed-0/best_acc_top1' in log
    assert '--cfg-options protocol.target=h b=1' in log
    plan = toy_plan(toy)
    (table,) = tables(collect_results(plan, list_cells(plan)))
    assert table.means.loc[('GMP', 'H'), 'mean'] == pytest.approx(76)


@pytest.mark.parametrize('keep_going', [False, True])
def test_two_cells_that_fail_alike_stop_the_plan(keep_going, toy):
    (toy / 'template/fail').write_text('seed-')
    made, events = runner(toy, keep_going=keep_going)
    assert not made.run()
    failed = sum(event.what == 'failed' for event in events)
    assert failed == (8 if keep_going else 2)
    assert ('the toy is broken' in made.same_failure) is not keep_going


def test_all_that_is_missing_is_named_before_the_first_cell(tmp_path):
    toy = make_toy(tmp_path / 'toy')
    for name, checkpoint in (('erm', 'a.pth'), ('gmp', 'https://b/b.pth')):
        config = toy / f'{name}.py'
        config.write_text(
            config.read_text() + 'train_dataloader = dict(dataset=dict(\n'
            f"    data_root='{toy}/{name}', ann_file=['x.json']))\n"
            f"load_from = '{checkpoint}'\n"
        )
    with pytest.raises(FileNotFoundError, match='3 files that') as caught:
        runner(toy)
    for path in (f'{toy}/erm/x.json', f'{toy}/gmp/x.json', 'a.pth (for ERM'):
        assert path in str(caught.value)
    assert calls(toy) == []
