"""Undecodable clips, and clips without sound, through stock train.py."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.test_end_to_end.test_stock_scripts import (
    GMP,
    SCRIPTS,
    command,
    options,
    scalars,
)


@pytest.fixture
def damaged(mini_hac, tmp_path):
    """A copy of the corpus in which some source clips are cut short."""

    def damage(count):
        root = tmp_path / 'data'
        shutil.copytree(mini_hac, root)
        broken = []
        for domain in ('animal', 'cartoon'):
            names = [
                line.split(',')[0]
                for line in (root / f'HAC_Splits/HAC_train_only_{domain}.csv')
                .read_text()
                .split()
            ]
            broken += [root / domain / 'videos' / name for name in names]
        for path in broken[:count]:
            path.write_bytes(path.read_bytes()[:200])
        # The last clips of each split have no sound file.
        for split in ('train', 'test'):
            content = json.loads((root / f'hac_{split}.json').read_text())
            for sample in content['data_list'][-2:]:
                assert sample['domain'] == 'cartoon'
                (root / sample['audio']['path']).unlink()
        return root, [p.stem for p in broken[:count]]

    return damage


@pytest.mark.parametrize(
    ('count', 'finishes'),
    [
        pytest.param(1, True, id='within'),
        pytest.param(4, False, id='past', marks=pytest.mark.slow),
    ],
)
def test_skipping_is_counted_named_and_bounded(
    damaged, tmp_path, count, finishes
):
    root, names = damaged(count)
    done = subprocess.run(
        command(
            SCRIPTS / 'train.py',
            GMP,
            tmp_path / 'run',
            *options(
                root,
                'train_dataloader.dataset.on_error=skip',
                'train_dataloader.dataset.on_missing.audio=zeros',
                'val_dataloader.dataset.on_missing=zeros',
            ),
        ),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    log = done.stdout + done.stderr
    assert (done.returncode == 0) is finishes, log[-2000:]
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file() is finishes
    if finishes:
        assert f'Skipped sample animal/{names[0]}' in log
        assert log.count('have no audio, zeros stand for its feature') == 2
        assert 'acc/samples_audio: 12.0000' in log
        last = [s for s in scalars(tmp_path / 'run') if 'loss_domain' in s][-1]
        assert 0 < last['semantic_ratio_audio'] < 100
    else:
        assert 'max_errors: more than 1.4 samples are unreadable' in log
        assert sum(name in log for name in names) >= 2
