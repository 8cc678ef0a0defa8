"""Shipped configs that many tests start from, named in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.utils.protocol import resolve_protocol

ROOT = Path(__file__).resolve().parents[1]

#: GMP on the small synthetic corpus; the target is "human".
GMP = ROOT / 'configs/gmp/gmp_mini-hac.py'
#: All configs that can be trained.
LEAVES = sorted(
    path
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts
)


def load(path: Path = GMP, **options: Any) -> Config:
    """Read a config, set keys of its protocol, and write the protocol out."""
    config = Config.fromfile(path)
    config.merge_from_dict({f'protocol.{k}': v for k, v in options.items()})
    return resolve_protocol(config)


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
    # A figure costs more than two steps, and has tests of its own.
    config.default_hooks.task_gradient.plot = False
    config.default_hooks.logger.interval = 1
    return config
