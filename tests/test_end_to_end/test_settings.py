"""Mistakes of protocol through the stock train.py, as a user sees them."""

from __future__ import annotations

import subprocess

import pytest

from tests.test_end_to_end.test_stock_scripts import (
    GMP,
    SCRIPTS,
    command,
    options,
)


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        pytest.param(
            'train_dataloader.batch_size=29',
            'train_dataloader.batch_size must be at most the 28 samples',
            id='batch-with-a-schedule-by-step',
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'protocol.target=humna',
            "got ['humna']",
            id='target-typo',
        ),
    ],
)
def test_the_last_line_says_what_is_wrong(option, words, mini_hac, tmp_path):
    done = subprocess.run(
        command(
            SCRIPTS / 'train.py', GMP, tmp_path, *options(mini_hac, option)
        ),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('ValueError: ')
    assert words in last
    assert not list(tmp_path.glob('*.pth'))
