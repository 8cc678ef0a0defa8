"""A tiny run with everything random in it, and ways to kill it."""

from __future__ import annotations

import os
import random
import runpy
import signal
import sys
import time
from pathlib import Path

import mmaction
import numpy as np
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmgmp.registry import DATASETS, HOOKS, METRICS, MODELS
from tests.engine.optim.toy import ToyModel, toy_data

TRAIN = Path(mmaction.__file__).parent / '.mim' / 'tools' / 'train.py'
EPOCHS = 3
BATCHES = 5
CONFIG = """
custom_imports = dict(imports=['mmgmp', 'tests.engine.hooks.resume_toys'])
default_scope = 'mmaction'
model = dict(type='RandomToy')
train_dataloader = dict(
    dataset=dict(type='RandomData', size=19),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    batch_size=4,
    num_workers=0,
)
val_dataloader = dict(
    dataset=dict(type='RandomData', size=8),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    batch_size=4,
    num_workers=0,
)
val_evaluator = dict(type='ToyScore')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
val_cfg = dict(type='ValLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GMPOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=1e-2),
    # Five batches: a window goes from one epoch to the next.
    accumulative_counts=2,
)
param_scheduler = dict(
    type='CosineAnnealingLR', T_max=3, by_epoch=True, end=3,
    convert_to_iter_based=True)
default_hooks = dict(
    checkpoint=dict(
        type='SafeCheckpointHook', interval=1, max_keep_ckpts=1,
        save_best='toy/score', rule='greater'))
custom_hooks = [
    dict(type='ExactResumeHook'),
    dict(type='EMAHook'),
    dict(type='Mischief'),
]
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='gloo'))
randomness = dict(seed=3)
log_level = 'WARNING'
"""


@DATASETS.register_module()
class RandomData(torch.utils.data.Dataset):
    """Every generator has a part in every sample."""

    metainfo: dict = {}  # noqa: RUF012

    def __init__(self, size: int) -> None:
        self.data = toy_data(size, seed=size)

    def __len__(self) -> int:
        return len(self.data[1])

    def __getitem__(self, index: int):
        inputs, labels, domains = self.data
        noise = random.gauss(0, 1) + np.random.randn() + torch.randn(1)
        return dict(
            inputs={m: x[index] + 0.3 * noise for m, x in inputs.items()},
            labels=labels[index],
            domains=domains[index],
        )


@MODELS.register_module()
class RandomToy(BaseModel):
    """The toy behind dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.toy = ToyModel()
        self.dropout = nn.Dropout(0.3)

    def forward(self, inputs, labels, domains, mode='loss'):
        inputs = {m: self.dropout(x) for m, x in inputs.items()}
        loss = self.toy.loss((inputs, labels, domains))
        if mode == 'loss':
            return {'loss': loss}
        return [dict(score=-float(loss))]

    def parse_losses(self, losses):
        return losses['loss'], {'loss': losses['loss'].detach()}


@METRICS.register_module()
class ToyScore(BaseMetric):
    default_prefix = 'toy'

    def __init__(self, rising=False) -> None:
        super().__init__()
        self.rising = rising

    def process(self, data_batch, data_samples) -> None:
        self.results += data_samples

    def compute_metrics(self, results):
        if self.rising:
            hub = MessageHub.get_current_instance()
            # The epoch; the hub is one iteration behind within the loop.
            return {'score': (hub.get_info('iter') + BATCHES - 1) // BATCHES}
        return {'score': float(np.mean([r['score'] for r in results]))}


@HOOKS.register_module()
class Mischief(Hook):
    """Draws between epochs, as a hook that starts a head anew does.

    Resuming within an epoch enters it again, so that what a hook changes on
    entering is changed twice: ``at_start=False``.
    """

    def __init__(self, at_start=True, delay=0.0) -> None:
        self.at_start = at_start
        self.delay = delay

    def before_train_epoch(self, runner) -> None:
        if not self.at_start:
            return
        weight = runner.model.toy.classifier.weight
        with torch.no_grad():
            weight += 0.01 * torch.randn_like(weight)

    def after_train_epoch(self, runner) -> None:
        weight = runner.model.toy.discriminator.weight
        with torch.no_grad():
            weight += 0.01 * float(np.random.randn())

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        time.sleep(self.delay)
        strike('iteration')

    def after_val_iter(self, runner, *args, **kwargs) -> None:
        torch.rand(1)
        strike('validation')


_PLAN: dict[str, int] = {}


def strike(event: str) -> None:
    """Kill this process at the planned occurrence of an event."""
    if event in _PLAN:
        _PLAN[event] -= 1
        if _PLAN[event] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _replace(source, target, real=os.replace) -> None:
    name = Path(target).name
    strike('written')
    strike(f'written {name}')
    real(source, target)
    strike('renamed')


def _fsync(descriptor, real=os.fsync) -> None:
    if 'half' in _PLAN and _PLAN['half'] == 1:
        os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
    strike('half')
    real(descriptor)


def train(folder: Path, resume: bool, plan: dict, options: list) -> None:
    """Run MMAction2's own train.py, until the end or the planned kill."""
    config = _prepare(folder, plan)
    sys.argv = [str(TRAIN), str(config), '--work-dir', str(folder)]
    if resume:
        sys.argv.append('--resume')
    if options:
        sys.argv += ['--cfg-options', *options]
    runpy.run_path(str(TRAIN), run_name='__main__')


def train_rank(
    folder: Path, store: str, rank: int, resume: bool, plan: dict
) -> None:
    """One of two ranks; train.py can start ranks on accelerators only."""
    dist.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2
    )
    config = Config.fromfile(_prepare(folder, plan))
    config.work_dir, config.resume = str(folder), resume
    config.train_dataloader.batch_size = 2
    config.optim_wrapper.accumulative_counts = 1
    try:
        Runner.from_cfg(config).train()
    finally:
        dist.destroy_process_group()


def _prepare(folder: Path, plan: dict) -> Path:
    _PLAN.update(plan)
    os.replace, os.fsync = _replace, _fsync
    os.chdir(folder)
    with open(folder / 'log.txt', 'a') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    config = folder / 'config.py'
    if not config.is_file():
        config.write_text(CONFIG)
    return config
