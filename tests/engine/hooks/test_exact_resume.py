"""Runs of the stock train.py that are killed and resumed."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from mmgmp.utils.checkpoint_files import is_intact
from tests.processes import finish, start

from .resume_toys import BATCHES, EPOCHS, train, train_rank

WORKERS = ['train_dataloader.num_workers=2']
PERSISTENT = [*WORKERS, 'train_dataloader.persistent_workers=True']
BY_ITERATION = [
    'default_hooks.checkpoint.by_epoch=False',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.checkpoint.max_keep_ckpts=2',
    'custom_hooks.2.at_start=False',
]


def run(folder, resume=False, options=(), **plan):
    """Run to the end, or to the planned kill."""
    folder.mkdir(exist_ok=True)
    process = start(train, folder, resume, plan, list(options))
    if not plan:
        finish([process])
        return
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, log(folder)


def log(folder):
    return (folder / 'log.txt').read_text()


def load(path):
    return torch.load(path, weights_only=True)


def outcome(folder):
    """Everything that a run leaves behind: last and best checkpoint."""
    last = load((folder / 'last_checkpoint').read_text())
    best = sorted(folder.glob('best_*.pth'))
    assert len(best) == 1, best
    info = last['message_hub']['runtime_info']
    return {
        'iterations': last['meta']['iter'],
        'weights': last['state_dict'],
        'averaged': last['ema_state_dict'],
        'optimizer': last['optimizer']['state'],
        'steps': last['optimizer']['task_gradient']['steps'],
        'schedule': last['param_schedulers'][0]['_last_value'],
        'best': best[0].name,
        'known best': Path(info['best_ckpt']).name,
        'known score': info['best_score'],
        'best weights': load(best[0])['state_dict'],
    }


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in second.items():
        if isinstance(value, dict):
            assert_same(first[name], value)
        elif isinstance(value, torch.Tensor):
            assert torch.equal(first[name], value), name
        else:
            assert first[name] == value, name


@pytest.fixture(scope='module')
def by_epoch(tmp_path_factory):
    folder = tmp_path_factory.mktemp('by_epoch')
    run(folder)
    return outcome(folder)


@pytest.fixture(scope='module')
def by_iteration(tmp_path_factory):
    folder = tmp_path_factory.mktemp('by_iteration')
    run(folder, options=BY_ITERATION)
    return outcome(folder)


def test_the_reference_has_trained(by_epoch, by_iteration):
    assert by_epoch['iterations'] == EPOCHS * BATCHES
    assert by_iteration['iterations'] == EPOCHS * BATCHES


@pytest.mark.parametrize('options', [WORKERS, PERSISTENT])
def test_workers_make_no_difference(by_epoch, tmp_path, options):
    run(tmp_path, options=options)
    assert_same(outcome(tmp_path), by_epoch)


@pytest.mark.parametrize(
    ('options', 'reference'),
    [
        pytest.param([], 'by_epoch', id='epochs'),
        pytest.param([*BY_ITERATION, *PERSISTENT], 'by_iteration', id='iters'),
    ],
)
def test_kills_at_the_worst_moments(options, reference, request, tmp_path):
    """Each run goes on from what the one before it left."""
    reference = request.getfixturevalue(reference)
    run(tmp_path, options=options, iteration=4)
    run(tmp_path, True, options, half=3)
    run(tmp_path, True, options, validation=1)
    run(tmp_path, True, options, written=2)
    run(tmp_path, True, options, renamed=1)
    run(tmp_path, True, options, iteration=2)
    run(tmp_path, True, options)
    assert_same(outcome(tmp_path), reference)


def test_kills_at_random_moments(by_epoch, tmp_path):
    for attempt in range(3):
        options = [*WORKERS, 'custom_hooks.2.delay=0.05']
        process = start(train, tmp_path, attempt > 0, {}, options)
        time.sleep(random.uniform(0.4, 1.2))
        process.kill()
        process.join()
    run(tmp_path, True, WORKERS)
    assert_same(outcome(tmp_path), by_epoch)


def test_the_old_checkpoint_is_there_until_the_new_one_is(tmp_path):
    run(tmp_path, **{'written epoch_2.pth': 1})
    assert is_intact(tmp_path / 'epoch_1.pth')
    assert not (tmp_path / 'epoch_2.pth').exists()
    run(tmp_path, True)
    kept = {path.name for path in tmp_path.glob('epoch_*.pth')}
    assert kept == {f'epoch_{EPOCHS}.pth'}


def test_the_old_best_is_there_until_the_new_one_is(tmp_path):
    options = ['val_evaluator.rising=True']
    run(tmp_path / 'whole', options=options)
    best = outcome(tmp_path / 'whole')['best']
    assert best == f'best_toy_score_epoch_{EPOCHS}.pth'
    folder = tmp_path / 'killed'
    run(folder, options=options, **{f'written {best}': 1})
    [old] = folder.glob('best_*.pth')
    assert is_intact(old)
    assert old.name != best
    run(folder, True, options)
    assert_same(outcome(folder), outcome(tmp_path / 'whole'))


def test_two_ranks(tmp_path):
    def run_both(folder, resume=False, **plan):
        folder.mkdir(exist_ok=True)
        store = tmp_path / f'store{len(list(tmp_path.iterdir()))}'
        processes = [
            start(train_rank, folder, str(store), rank, resume, plan)
            for rank in range(2)
        ]
        if not plan:
            finish(processes)
        for process in processes:
            process.join(60)
            assert (process.exitcode == 0) is not bool(plan)

    run_both(tmp_path / 'whole')
    run_both(tmp_path / 'killed', iteration=BATCHES + 3)
    run_both(tmp_path / 'killed', resume=True)
    assert_same(outcome(tmp_path / 'killed'), outcome(tmp_path / 'whole'))


def test_without_the_hook_a_resumed_run_is_another(by_epoch, tmp_path):
    options = ['custom_hooks.0.type=EmptyCacheHook']
    run(tmp_path, options=options, iteration=BATCHES + 2)
    run(tmp_path, True, options)
    whole = tmp_path / 'whole'
    run(whole, options=options)
    with pytest.raises(AssertionError):
        assert_same(outcome(tmp_path)['weights'], outcome(whole)['weights'])


def test_a_run_without_a_seed_keeps_the_one_it_drew(tmp_path):
    first = tmp_path / 'first'
    run(first, options=['randomness.seed=None'], iteration=BATCHES + 2)
    last = load((first / 'last_checkpoint').read_text())
    run(first, True, ['randomness.seed=None'])
    seed = f'randomness.seed={last["meta"]["seed"]}'
    run(tmp_path / 'second', options=[seed])
    assert_same(outcome(first), outcome(tmp_path / 'second'))


def test_a_finished_run_is_left_as_it_is(by_epoch, tmp_path):
    run(tmp_path)
    run(tmp_path, True)
    assert_same(outcome(tmp_path), by_epoch)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('finished')
    run(folder, options=['default_hooks.checkpoint.max_keep_ckpts=3'])
    return folder


@pytest.mark.parametrize(
    'damage', ['truncated', 'flipped', 'missing', 'pointer']
)
def test_a_damaged_checkpoint_is_replaced_by_the_one_before(
    damage, finished, by_epoch, tmp_path
):
    folder = tmp_path / 'run'
    shutil.copytree(finished, folder)
    last = folder / f'epoch_{EPOCHS}.pth'
    (folder / 'last_checkpoint').write_text(str(last))
    data = last.read_bytes()
    if damage == 'truncated':
        last.write_bytes(data[: len(data) // 2])
    elif damage == 'flipped':
        # More than the padding between two records.
        middle = slice(len(data) // 2, len(data) // 2 + 100)
        flipped = bytes(byte ^ 1 for byte in data[middle])
        last.write_bytes(data[: middle.start] + flipped + data[middle.stop :])
    elif damage == 'missing':
        last.unlink()
    else:
        last.unlink()
        (folder / 'last_checkpoint').write_text('')
    run(folder, True, ['default_hooks.checkpoint.max_keep_ckpts=3'])
    text = log(folder)
    assert 'is damaged or missing' in text
    assert f'resuming from {folder / f"epoch_{EPOCHS - 1}.pth"}' in text
    result = outcome(folder)
    result.pop('best')
    assert_same(result, {k: v for k, v in by_epoch.items() if k != 'best'})


def test_no_intact_checkpoint_at_all_starts_over(by_epoch, tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'PK half a file')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    run(tmp_path, True)
    assert 'the run starts at its beginning' in log(tmp_path)
    assert_same(outcome(tmp_path), by_epoch)


def test_a_damaged_checkpoint_that_is_named_is_refused(finished, tmp_path):
    folder = tmp_path / 'run'
    shutil.copytree(finished, folder)
    last = folder / f'epoch_{EPOCHS}.pth'
    last.write_bytes(last.read_bytes()[:-100])
    process = start(train, folder, True, {}, [f'load_from={last}'])
    process.join(60)
    assert process.exitcode == 1
    text = log(folder)
    assert f'resume: {last} must be a whole checkpoint, got one that' in text
    assert f'resume {folder / f"epoch_{EPOCHS - 1}.pth"}' in text


def test_other_batches_within_an_epoch_are_refused(tmp_path):
    run(tmp_path, options=BY_ITERATION, iteration=4)
    process = start(
        train,
        tmp_path,
        True,
        {},
        [*BY_ITERATION, 'train_dataloader.batch_size=2'],
    )
    process.join(60)
    assert process.exitcode == 1
    assert '5 per epoch, and a batch sampler, got 10' in log(tmp_path)
