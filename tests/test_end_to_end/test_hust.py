"""Vibration and sound, from rendered text files to an accuracy."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmgmp.apis.data_check import check_data
from mmgmp.registry import RUNNERS
from mmgmp.utils.protocol import resolve_protocol
from tests.shipped import LEAVES, ROOT, small
from tests.test_end_to_end.test_stock_scripts import (
    SCRIPTS,
    options,
    run,
    scalars,
)

ERM = ROOT / 'configs/base/erm_hust.py'
ON_HUST = [path for path in LEAVES if path.stem.endswith('_hust')]
MODALITIES = ('vibration', 'sound')


@pytest.fixture(scope='module')
def hust(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('hust')
    raw, data = folder / 'raw', folder / 'data'
    for words in (
        ['render.py', raw, '--seconds', '0.3'],
        ['convert_annotations.py', raw, data],
    ):
        script, *arguments = map(str, words)
        command = [sys.executable, str(ROOT / 'data_prep/hust' / script)]
        subprocess.run([*command, *arguments], check=True)
    return data


@pytest.mark.slow
def test_erm_is_far_above_chance_on_the_sources(hust, tmp_path):
    log = run(
        SCRIPTS / 'train.py',
        ERM,
        tmp_path,
        '--seed',
        0,
        *options(hust, 'train_cfg.max_epochs=4'),
        cwd=tmp_path,
    )
    assert 'HUST motor (synthetic): 6 classes, trained on 10Hz' in log
    assert 'vibration: WDCNN, 36.0 k of 36.0 k parameters trained' in log
    last = [line for line in scalars(tmp_path) if 'acc/top1' in line][-1]
    assert last['acc/top1'] > 3 / 6
    for modality in MODALITIES:
        assert last[f'acc/top1_{modality}'] > 1.5 / 6


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path,
            id=path.stem,
            marks=() if path.stem == 'gmp_hust' else pytest.mark.slow,
        )
        for path in ON_HUST
    ],
)
def test_two_steps(path, hust, tmp_path):
    runner = RUNNERS.build(small(Config.fromfile(path), hust, tmp_path))
    model = runner.model
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    moved = {
        n.split('.')[1]
        for n, p in model.named_parameters()
        if n.startswith('encoders.') and not (p == before[n]).all()
    }
    assert moved == set(MODALITIES)


def test_an_evaluation_without_one_of_them(hust, tmp_path):
    config = Config.fromfile(ERM)
    config.merge_from_dict({'protocol.missing': ['sound']})
    metrics = RUNNERS.build(small(config, hust, tmp_path)).test()
    assert 'acc/top1_vibration' in metrics


def test_the_data_check_reads_signals_and_finds_the_bad_ones(hust, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(hust, root)
    config = Config.fromfile(ERM)
    for part in ('train', 'val', 'test'):
        config[f'{part}_dataloader'].dataset.data_root = str(root)
    config = resolve_protocol(config).to_dict()
    assert check_data(config=config).faults == []
    signals = root / 'signals'
    whole = np.load(signals / 'H_5HZ_sound.npy')
    np.save(signals / 'H_5HZ_sound.npy', whole[:2000])
    np.save(signals / 'BF_5HZ_sound.npy', np.ones_like(whole))
    np.save(signals / 'BOW_5HZ_sound.npy', np.full_like(whole, np.nan))
    (signals / 'H_10HZ_vibration.npy').unlink()
    (signals / 'BF_10HZ_vibration.npy').write_bytes(b'no array')
    faults = check_data(config=config).faults
    found = {(f.kind, Path(f.path).name.split('_so')[0]) for f in faults}
    assert found == {
        ('too-short', 'H_5HZ'),
        ('silent', 'BF_5HZ'),
        ('undecodable', 'BOW_5HZ'),
        ('missing', 'H_10HZ_vibration.npy'),
        ('undecodable', 'BF_10HZ_vibration.npy'),
    }
    # Without a config the ending says what a file is.
    plain = check_data(['hust_train.json'], str(root)).faults
    assert {f.kind for f in plain} == {f.kind for f in faults}
