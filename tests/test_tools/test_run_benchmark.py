"""One table by one command: real training, real tests, a killed runner."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.apis.benchmark.toy import PLAN as TOY
from tests.apis.benchmark.toy import calls, make_toy

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/run_benchmark.py'
PLAN = """
title: Two cells
corpus: mini-HAC
synthetic: true
methods:
  ERM: {configs}/base/erm_mini-hac.py
  GMP: {configs}/gmp/gmp_mini-hac.py
targets: {{H: human}}
seeds: [0]
compare_to: [ERM]
"""


def options(data: Path) -> list[str]:
    words = ['train_cfg.max_epochs=3', 'default_hooks.logger.interval=1']
    for part in ('train', 'val', 'test'):
        words += [
            f'{part}_dataloader.dataset.data_root={data}',
            f'{part}_dataloader.dataset.indices=4',
            f'{part}_dataloader.batch_size=4',
            f'{part}_dataloader.num_workers=0',
            f'{part}_dataloader.persistent_workers=False',
        ]
    return words


def command(*words: object) -> list[str]:
    return [sys.executable, '-W', 'ignore', str(TOOL), *map(str, words)]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_plan_survives_being_killed(mini_hac, tmp_path):
    """Two cells of two slots; killed in the middle, continued, reported."""
    plan, work = tmp_path / 'two.yml', tmp_path / 'runs'
    plan.write_text(PLAN.format(configs=ROOT / 'configs'))
    words = [plan, '--work-dir', work, '--jobs', 2]
    words += ['--cfg-options', *options(mini_hac)]
    first = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, cwd=tmp_path
    )
    cell = work / 'GMP/H/seed-0'
    deadline = time.monotonic() + 120
    while not (cell / 'epoch_1.pth').is_file():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    first.wait()
    for file in work.glob('*/H/seed-0/.lock'):
        os.killpg(int(file.read_text()), signal.SIGKILL)

    refused = run(*words)
    assert refused.returncode == 2
    assert 'add --resume to continue' in refused.stderr
    done = run(*words, '--resume')
    assert done.returncode == 0, done.stdout + done.stderr
    assert '2 of 2 cells done, 0 failed' in done.stdout

    with open(work / 'report.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['method'] for row in rows] == ['ERM', 'GMP']
    for row in rows:
        assert 0 <= float(row['test/acc/top1_audio']) <= 1
        assert 0 <= float(row['val/acc/top1']) <= 1
    page = (work / 'report.html').read_text()
    assert 'SYNTHETIC' in page
    assert 'Discrepancy ratios, target H' in page
    log = (cell / 'train.log').read_text()
    assert log.count('===') == 2
    assert (cell / 'test/predictions.pkl').is_file()

    again = run(*words)
    assert again.returncode == 0
    assert 'started' not in again.stdout


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path / 'toy')


def test_a_dry_run_prints_commands_and_starts_nothing(toy):
    shown = run(toy / 'plan.yml', '--work-dir', toy / 'runs', '--dry-run')
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert sum('tools/train.py' in line for line in lines) == 8
    assert sum('tools/test.py' in line for line in lines) == 8
    assert '# GMP/A/seed-1 (pending)' in lines
    assert not (toy / 'runs').exists()


def test_commands_of_jobs_with_several_tasks(toy):
    shown = run(
        toy / 'plan.yml', '--dry-run', '--cluster', 'slurm', '--amp',
        '--job-options', 'slurm_partition=gpu', 'nodes=2',
    )  # fmt: skip
    line = next(x for x in shown.stdout.splitlines() if 'train.py' in x)
    assert line.startswith(f'{sys.executable} -u')
    assert '--launcher slurm --amp' in line


def test_failures_are_listed_with_their_logs(tmp_path):
    """The toy configs hold no model, so MMAction2's script must fail."""
    text = TOY.replace('{H: h, A: a}', '{H: h}').replace('[0, 1]', '[0]')
    toy = make_toy(tmp_path / 'toy', text)
    done = run(toy / 'plan.yml', '--work-dir', toy / 'runs', '--jobs', 2)
    assert done.returncode == 1
    assert '2 cells FAILED' in done.stdout
    assert f'log: {toy}/runs/GMP/H/seed-0/train.log' in done.stdout
    assert 'Error' in done.stdout
    assert calls(toy) == []
    assert (toy / 'runs/report.html').is_file()


def test_a_plan_that_cannot_be_used_exits_with_2(tmp_path):
    done = run(tmp_path / 'none.yml')
    assert done.returncode == 2
    assert 'PLAN must be a YAML or Python file' in done.stderr


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    import run_benchmark

    monkeypatch.setattr(run_benchmark, 'num_cores', lambda: 8)
    return run_benchmark


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['--jobs', '1'], [{}]),
        (['--jobs', '3'], [{'OMP_NUM_THREADS': '2'}] * 3),
        (['--jobs', '9'], [{'OMP_NUM_THREADS': '1'}] * 9),
        (['--devices', '3'], [{'CUDA_VISIBLE_DEVICES': '3'}]),
        (
            ['--devices', '0, 3'],
            [
                {'CUDA_VISIBLE_DEVICES': '0', 'OMP_NUM_THREADS': '4'},
                {'CUDA_VISIBLE_DEVICES': '3', 'OMP_NUM_THREADS': '4'},
            ],
        ),
        # The cores of the machine that submits say nothing.
        (['--jobs', '2', '--cluster', 'slurm'], [{}, {}]),
    ],
)
def test_cells_at_a_time_share_the_cores(words, expected, tool):
    assert tool.slots(tool.parse_args(['plan.yml', *words])) == expected


def test_threads_of_the_user_stay(tool, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    args = tool.parse_args(['plan.yml', '--jobs', '2'])
    assert tool.slots(args) == [{}, {}]


def test_a_device_without_a_name_is_refused(tool, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(['plan.yml', '--devices', '0,,1'])
    assert 'must be GPUs such as 0,1,3' in capsys.readouterr().err
