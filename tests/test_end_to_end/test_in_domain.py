"""A corpus without an unseen domain, from its folder to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmgmp.testing.media import write_audio, write_video
from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.settings import KEY
from tests.data_prep.scripts import load_script

from .test_stock_scripts import ROOT, SCRIPTS, options, run, scalars

EMOTIONS = ('NEU', 'HAP', 'SAD', 'FEA', 'DIS', 'ANG')


@pytest.fixture(scope='module')
def crema_d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of three actors in the official layout, converted."""
    root = tmp_path_factory.mktemp('CREMA-D')
    rng = np.random.default_rng(0)
    for folder in ('VideoFlash', 'AudioWAV'):
        (root / folder).mkdir()
    for number, emotion in enumerate(EMOTIONS * 2):
        name = f'{1001 + number // 4}_IEO_{emotion}_{("LO", "HI")[number > 5]}'
        frames = rng.integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
        video = root / f'VideoFlash/{name}.flv'
        write_video(video, frames, codec='flv1', max_b_frames=0)
        write_audio(root / f'AudioWAV/{name}.wav', rng.uniform(-1, 1, 8000))
    convert = load_script('crema_d')
    words = ['--test-actors', '1', '--seed', '0']
    assert convert.main([str(root), str(root), *words]) == 0
    return root


@pytest.mark.slow
def test_two_steps_of_a_balancing_strategy(crema_d, tmp_path):
    log = run(
        SCRIPTS / 'train.py',
        ROOT / 'configs/balance/ogm-ge_crema-d.py',
        tmp_path,
        *options(crema_d, 'train_cfg.val_interval=1'),
        cwd=tmp_path,
    )
    words = 'CREMA-D: 6 classes, trained on crema-d; tested on other clips'
    assert words in log
    assert 'no domain is unseen' in log
    assert 'tested clips' not in log  # none of them selects
    found = scalars(tmp_path)
    assert sum('loss' in line for line in found) == 2
    assert 'semantic_ratio_video' in found[0]
    assert 'acc/top1_audio' in found[-1]
    assert not list(tmp_path.glob('best_*'))
    meta = read_checkpoint(str(tmp_path / 'epoch_1.pth'))['meta'][KEY]
    assert meta['in_domain'] == meta['sources'] == ['crema-d']
    assert meta['oracle'] == []
