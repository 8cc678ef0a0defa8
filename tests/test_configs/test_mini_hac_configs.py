"""Every config on mini-HAC builds and trains two steps on real files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[2] / 'configs'
CONFIGS = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob('*_mini-hac-*.py')
    if '_base_' not in path.parts
)


def small(config: Config, data: Path, work_dir: Path) -> Config:
    """Shrink the data to two batches and leave the rest as it is."""
    config.work_dir = str(work_dir)
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        loader.num_workers = 0
        loader.persistent_workers = False
        loader.batch_size = 4
        loader.dataset.data_root = str(data)
        loader.dataset.indices = 8
    config.train_cfg.max_epochs = 1
    config.train_cfg.val_begin = 99  # hooks may read the validation data
    config.default_hooks.checkpoint = None
    config.default_hooks.logger.interval = 1
    return config


def test_there_are_configs():
    assert len(CONFIGS) >= 24


def test_every_basename_is_unique():
    """Tools that find a config by its name search the whole package."""
    names = [
        path.stem for path in ROOT.rglob('*.py') if '_base_' not in path.parts
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('name', CONFIGS)
def test_two_steps(name, mini_hac, tmp_path):
    config = small(Config.fromfile(ROOT / name), mini_hac, tmp_path)
    runner = Runner.from_cfg(config)
    before = {
        n: p.detach().clone() for n, p in runner.model.named_parameters()
    }
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    moved = {
        n.split('.')[1]
        for n, p in runner.model.named_parameters()
        if n.startswith('encoders.') and not (p == before[n]).all()
    }
    assert moved == set(runner.model.modalities)
