"""Trainings from files and from a cache, on a frozen little network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmgmp.registry import MODELS, RUNNERS
from mmgmp.utils.protocol import resolve_protocol
from tests.shipped import ROOT

METHODS = {
    'erm': 'base/erm_mini-hac.py',
    'gmp': 'gmp/gmp_mini-hac.py',
    'cmrf': 'mmdg/cmrf-gmp_mini-hac.py',
    'mbcd': 'mmdg/mbcd_mini-hac.py',
    'nel': 'mmdg/nel_mini-hac.py',
    'umt': 'balance/umt_mini-hac.py',
}
FILES = {'train': ['train'], 'val': ['test'], 'test': ['train', 'test']}


def small_corpus(data: Path, folder: Path, train: int = 5) -> None:
    """Annotation files of a few clips of each domain."""
    for split, count in (('train', train), ('test', 2)):
        annotation = json.loads((data / f'hac_{split}.json').read_text())
        clips = annotation['data_list']
        annotation['data_list'] = [
            clip
            for domain in annotation['metainfo']['domains']
            for clip in [c for c in clips if c['domain'] == domain][:count]
        ]
        path = folder / f'hac_{split}.json'
        path.write_text(json.dumps(annotation))


def frozen_options(data: Path, folder: Path) -> dict[str, Any]:
    """Config keys of a short run; the network is frozen as it is shipped.

    Args:
        data: Where the media are.
        folder: Where annotation files and weights are.
    """
    options: dict[str, Any] = {
        'load_from': str(folder / 'frozen.pth'),
        'train_cfg.max_epochs': 2,
        'train_cfg.val_begin': 2,
        'default_hooks.logger.interval': 1,
    }
    for part, files in FILES.items():
        options |= {
            f'{part}_dataloader.num_workers': 0,
            f'{part}_dataloader.persistent_workers': False,
            f'{part}_dataloader.batch_size': 4,
            f'{part}_dataloader.dataset.data_root': str(data),
            f'{part}_dataloader.dataset.ann_file': [
                str(folder / f'hac_{split}.json') for split in files
            ],
        }
    return options


def frozen_config(
    method: str, data: Path, folder: Path, **protocol: Any
) -> Config:
    """A shipped config on a few clips, with the keys above.

    Args:
        method: Of ``METHODS``.
        data: Where the media are.
        folder: Where annotation files and weights are.
        **protocol: Options of the protocol.
    """
    config = Config.fromfile(ROOT / 'configs' / METHODS[method])
    options = {
        **frozen_options(data, folder),
        'randomness': {'seed': 3},
        'default_hooks.checkpoint': None,
        'default_hooks.task_gradient.plot': False,
    }
    if 'teacher' in config.default_hooks:
        options['default_hooks.teacher.begin_iter'] = 0
    if method == 'umt':
        teachers = dict.fromkeys(('video', 'audio'), options['load_from'])
        options['model.methods.0.checkpoints'] = teachers
        options['model.methods.0.allow_other_domains'] = True
    options |= {f'protocol.{key}': value for key, value in protocol.items()}
    config.merge_from_dict(options)
    return config


def write_weights(data: Path, folder: Path) -> None:
    """Random frozen weights, the same for everybody."""
    torch.manual_seed(1)
    config = resolve_protocol(frozen_config('erm', data, folder))
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = MODELS.build(config.model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    encoders = {
        name: value
        for name, value in model.state_dict().items()
        if name.startswith('encoders.')
    }
    torch.save({'state_dict': encoders}, folder / 'frozen.pth')


def train(config: Config, work_dir: Path) -> Any:
    """Train, and return the runner."""
    config.work_dir = str(work_dir)
    # MMEngine lays the text of a config out four times, for seconds.
    with (
        mock.patch.object(Config, 'pretty_text', ''),
        mock.patch('mmengine.runner.runner.collect_env', dict),
    ):
        runner = RUNNERS.build(config)
        runner.train()
    return runner


def outcome(runner: Any) -> dict[str, Any]:
    """Weights, losses and validation of a run."""
    scalars = runner.message_hub.log_scalars
    return {
        'weights': runner.model.state_dict(),
        'losses': list(scalars['train/loss'].data[0]),
        'accuracy': list(scalars['val/acc/top1'].data[0]),
    }
