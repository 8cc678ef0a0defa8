"""The scripts that stand in for MMAction2's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=TOOLS.parent,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ('script', 'options'),
    [
        ('train.py', ['--resume', '--amp', '--auto-scale-lr', '--launcher']),
        ('test.py', ['--dump', '--launcher', 'checkpoint']),
    ],
)
def test_the_stock_options_are_there(script: str, options: list[str]) -> None:
    shown = run(str(TOOLS / script), '--help')

    assert shown.returncode == 0, shown.stderr
    for option in [*options, '--work-dir', '--cfg-options']:
        assert option in shown.stdout
    # mim would pass it on where it finds it.
    assert '--gpus' not in shown.stdout


def test_stock_runs_a_script_of_mmaction2() -> None:
    # This one imports mmaction.models, which fails without the repairs.
    shown = run(
        str(TOOLS / 'stock.py'), 'analysis_tools/get_flops.py', '--help'
    )

    assert shown.returncode == 0, shown.stderr
    assert 'config' in shown.stdout


def test_stock_lists_the_scripts() -> None:
    shown = run(str(TOOLS / 'stock.py'), '--help')

    assert shown.returncode == 0, shown.stderr
    assert 'analysis_tools/confusion_matrix.py' in shown.stdout


def test_stock_refuses_an_unknown_script() -> None:
    shown = run(str(TOOLS / 'stock.py'), 'no_such.py')

    assert shown.returncode == 1
    assert "got 'no_such.py'" in shown.stderr
    assert 'analysis_tools/confusion_matrix.py' in shown.stderr
