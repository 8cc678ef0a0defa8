"""MMAction2's own scripts on real files, in processes of their own."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import mmaction
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(mmaction.__file__).parent / '.mim' / 'tools'
NAME = '{}_mini-hac.py'
GMP = ROOT / 'configs/gmp' / NAME.format('gmp')


def options(data: Path, *more: str) -> list[str]:
    words = [
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
    ]
    for part in ('train', 'val', 'test'):
        words += [
            f'{part}_dataloader.dataset.data_root={data}',
            f'{part}_dataloader.batch_size=4',
            f'{part}_dataloader.num_workers=0',
            f'{part}_dataloader.persistent_workers=False',
        ]
    return [*words, *more]


def command(script, config, work_dir, *arguments):
    words = [script, config, '--work-dir', work_dir, *arguments]
    return [sys.executable, '-W', 'ignore', *map(str, words)]


def run(*arguments, cwd):
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def scalars(work_dir):
    file = max(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope='module')
def trained(mini_hac, tmp_path_factory):
    """One epoch of GMP through the stock train.py."""
    work_dir = tmp_path_factory.mktemp('gmp')
    log = run(
        SCRIPTS / 'train.py',
        GMP,
        work_dir,
        '--seed',
        0,
        *options(mini_hac),
        cwd=work_dir,
    )
    return work_dir, log


def test_train_logs_what_the_paper_plots(trained):
    work_dir, log = trained
    assert 'Task gradients act on the encoders' in log
    last = [line for line in scalars(work_dir) if 'loss_domain' in line][-1]
    for key in (
        'semantic_ratio_video',
        'domain_ratio_audio',
        'conflict_video',
        'cosine_audio',
        'domain_accuracy',
    ):
        assert key in last
    assert (work_dir / 'ratio_curves.png').stat().st_size > 10_000
    assert list(work_dir.glob('best_acc_top1_epoch_1.pth'))


def test_the_screen_says_what_is_trained_in_few_lines(trained):
    work_dir, log = trained
    before = log[: log.index('Epoch(train)')]
    assert before.count('\n') <= 20, before
    for words in (
        'Training gmp_mini-hac',
        ': 7 classes, trained on animal, cartoon; human is not seen',
        'video: ResNet3dSlowFast, ',
        'modulation: DecoupledModulation; projection: TaskProjection; Adam, ',
        str(work_dir),
    ):
        assert words in before
    for line in log.splitlines():
        assert len(line) <= 120 or 'Epoch(train)' not in line
    (file,) = work_dir.glob('*/*.log')
    for words in ('System environment:', 'Config:', 'Hooks will be executed'):
        assert words in file.read_text()


def test_test_reports_every_branch_and_dumps(trained, mini_hac):
    work_dir, _ = trained
    log = run(
        SCRIPTS / 'test.py',
        GMP,
        work_dir / 'target',
        work_dir / 'epoch_1.pth',
        '--dump',
        work_dir / 'dump.pkl',
        *options(mini_hac),
        cwd=work_dir,
    )
    for key in ('acc/top1:', 'acc/top1_video:', 'acc/top1_audio:'):
        assert key in log
    with open(work_dir / 'dump.pkl', 'rb') as file:
        samples = pickle.load(file)
    assert len(samples) == 7 * 3
    assert {s['domain'] for s in samples} == {'human'}
    assert set(samples[0]['modality_scores']) == {'video', 'audio'}


@pytest.mark.slow  # the next one resumes within an epoch
def test_resume_continues_at_the_next_epoch(trained, mini_hac):
    work_dir, _ = trained
    log = run(
        SCRIPTS / 'train.py',
        GMP,
        work_dir,
        '--resume',
        *options(mini_hac, 'train_cfg.max_epochs=2'),
        cwd=work_dir,
    )
    assert 'resumed epoch: 1' in log
    epochs = {s['epoch'] for s in scalars(work_dir) if 'loss_cls' in s}
    assert epochs == {2}
    state = torch.load(work_dir / 'epoch_2.pth', weights_only=True)
    assert state['optimizer']['task_gradient']['steps'] == 2 * 7


def test_resume_after_an_interrupted_epoch(mini_hac, tmp_path):
    """Killed inside the second epoch, a run goes on from the first."""
    arguments = [
        SCRIPTS / 'train.py',
        GMP,
        tmp_path,
        '--seed',
        0,
        *options(mini_hac, 'train_cfg.max_epochs=30'),
    ]
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / 'epoch_1.pth').is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = int(
        (tmp_path / 'last_checkpoint')
        .read_text()
        .split('epoch_')[-1]
        .split('.')[0]
    )
    log = run(
        SCRIPTS / 'train.py',
        GMP,
        tmp_path,
        '--resume',
        *options(mini_hac, f'train_cfg.max_epochs={saved + 1}'),
        cwd=tmp_path,
    )
    assert f'resumed epoch: {saved}' in log
    assert (tmp_path / f'epoch_{saved + 1}.pth').is_file()


@pytest.mark.parametrize(
    'override',
    [
        pytest.param([], id='amp'),
        pytest.param(
            ['optim_wrapper.accumulative_counts=2'],
            id='amp-accumulate',
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_stock_amp_flag(override, mini_hac, tmp_path):
    run(
        SCRIPTS / 'train.py',
        GMP,
        tmp_path,
        '--amp',
        *options(mini_hac, *override),
        cwd=tmp_path,
    )
    (log,) = tmp_path.glob('*/*.log')
    assert 'AmpOptimWrapper' in log.read_text()
    losses = [s['loss'] for s in scalars(tmp_path) if 'loss' in s]
    assert len(losses) == 7
    # Later ones may not be finite: bfloat16 convolutions on a CPU are not
    # always right.
    assert losses[0] == losses[0]


def test_cfg_options_reach_the_strategy(mini_hac, tmp_path):
    done = subprocess.run(
        command(
            SCRIPTS / 'train.py',
            GMP,
            tmp_path,
            *options(mini_hac, 'optim_wrapper.modulation.alpha_k=-1'),
        ),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert 'alpha_k must be >= 0, got -1' in done.stderr
