"""One table by one command: real training, real tests, a killed runner."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.apis.benchmark.toy import PLAN as TOY
from tests.apis.benchmark.toy import make_toy

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


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    import run_benchmark

    monkeypatch.setattr(run_benchmark, 'num_cores', lambda: 8)
    return run_benchmark


def test_a_dry_run_prints_commands_and_starts_nothing(toy, tool, capsys):
    words = [toy / 'plan.yml', '--work-dir', toy / 'runs', '--dry-run']
    assert tool.main([str(word) for word in words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum('tools/train.py' in line for line in lines) == 8
    assert sum('tools/test.py' in line for line in lines) == 8
    assert '# GMP/A/seed-1 (pending)' in lines
    assert not (toy / 'runs').exists()


def test_commands_of_jobs_with_several_tasks(toy, tool, capsys):
    tool.main([
        str(toy / 'plan.yml'), '--dry-run', '--cluster', 'slurm', '--amp',
        '--job-options', 'slurm_partition=gpu', 'nodes=2',
    ])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    line = next(x for x in lines if 'train.py' in x)
    assert line.startswith(f'{sys.executable} -u')
    assert '--launcher slurm --amp' in line


def test_failures_are_listed_with_their_logs(
    tmp_path, tool, monkeypatch, capsys
):
    text = TOY.replace('{H: h, A: a}', '{H: h}').replace('[0, 1]', '[0]')
    toy = make_toy(tmp_path / 'toy', text)
    (toy / 'template/fail').write_text('seed-')
    monkeypatch.setattr(sys, 'executable', str(toy / 'python'))
    words = [toy / 'plan.yml', '--work-dir', toy / 'runs', '--jobs', 2]
    assert tool.main([str(word) for word in words]) == 1
    shown = capsys.readouterr().out
    assert '2 cells FAILED' in shown
    assert (
        '  GMP/H/seed-0, train ended with 3\n    the toy is broken\n' in shown
    )
    assert f'log: {toy}/runs/GMP/H/seed-0/train.log' in shown
    assert 'Stopped, since two cells failed alike' in shown
    assert (toy / 'runs/report.html').is_file()


def test_a_plan_that_cannot_be_used_exits_with_2(tmp_path, tool, capsys):
    assert tool.main([str(tmp_path / 'none.yml')]) == 2
    assert 'PLAN must be a YAML or Python file' in capsys.readouterr().err


def test_what_is_missing_exits_with_2(toy, tool, capsys):
    config = toy / 'gmp.py'
    config.write_text(config.read_text() + "load_from = 'none.pth'\n")
    words = [str(toy / 'plan.yml'), '--work-dir', str(toy / 'runs')]
    assert tool.main(words) == 2
    assert 'none.pth (for GMP/H/seed-0)' in capsys.readouterr().err


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


ROWS = """
title: Rows made of other rows
corpus: mini-HAC
synthetic: true
methods:
  UME: {{ensemble: {{members: [V, A], weights: validation}}}}
  UMT:
    config: {configs}/balance/umt_mini-hac.py
    averaged: {{ema: {{momentum: 0.5}}}}
    overrides:
      model.methods.0.checkpoints.video: '{{best:V}}'
      model.methods.0.checkpoints.audio: '{{best:A}}'
  V:
    config: {configs}/base/erm_mini-hac.py
    overrides: {{protocol.modalities: [video]}}
  A:
    config: {configs}/base/erm_mini-hac.py
    overrides: {{protocol.modalities: [audio]}}
targets: {{H: human}}
"""


@pytest.mark.slow
def test_an_ensemble_and_a_student_of_two_cells(mini_hac, tmp_path):
    plan, work = tmp_path / 'rows.yml', tmp_path / 'runs'
    plan.write_text(ROWS.format(configs=ROOT / 'configs'))
    words = [plan, '--work-dir', work, '--cfg-options', *options(mini_hac)]
    done = run(*words, '--jobs', 2)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(work / 'report.csv', newline='') as file:
        found = {row['method']: row for row in csv.DictReader(file)}
    assert found['UMT']['averaged'] == 'EMA, momentum 0.5'
    for side in ('val', 'test'):
        for name, modality in (('V', 'video'), ('A', 'audio')):
            alone = found[name][f'{side}/acc/top1']
            assert found['UME'][f'{side}/acc/top1_{modality}'] == alone
    # A member's predictions on source validation are what selected it.
    for name in ('V', 'A'):
        folder = work / name / 'H/seed-0'
        metrics = [
            json.loads((folder / f'{stage}.json').read_text())['metrics']
            for stage in ('train', 'source')
        ]
        assert metrics[0]['acc/top1'] == metrics[1]['acc/top1']
    # What is tested is the average, which the student is beside.
    (best,) = (work / 'UMT/H/seed-0').glob('best_*.pth')
    checkpoint = torch.load(best, weights_only=True)
    average, both = checkpoint['state_dict'], checkpoint['ema_state_dict']
    name = 'cls_head.output.weight'
    assert not torch.equal(average[name], both[f'module.{name}'])
    assert not [key for key in average if key.startswith('methods')]
