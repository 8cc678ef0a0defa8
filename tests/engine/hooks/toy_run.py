"""Short runs of MMEngine's Runner on a toy corpus."""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any, ClassVar

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmgmp.registry import DATASETS, METRICS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

MODALITIES = ('video', 'flow')


@DATASETS.register_module(force=True)
class ToyClips(torch.utils.data.Dataset):
    """Random clips; the seed is the split."""

    pipelines_read: ClassVar[list[str]] = []
    metainfo: ClassVar[dict] = {}

    def __init__(self, pipeline='train', size=9, seed=0):
        self.pipeline = pipeline
        self.inputs, self.samples = toy_batch(size, MODALITIES, seed=seed)

    def __len__(self):
        return len(self.samples)

    def full_init(self):
        pass

    def __getitem__(self, index):
        self.pipelines_read.append(self.pipeline)
        return dict(
            inputs={m: x[index] for m, x in self.inputs.items()},
            data_samples=copy.deepcopy(self.samples[index]),
        )


@METRICS.register_module(force=True)
class NoMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {'seen': len(results)}


class Probe(Hook):
    """Calls a function after each epoch, before checkpoints are written."""

    priority = 'LOW'

    def __init__(self, function):
        self.function = function

    def after_train_epoch(self, runner):
        self.function(runner)


def loader(split: str, pipeline: str, **kwargs: Any) -> dict[str, Any]:
    return dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=split == 'train'),
        dataset=dict(
            type='ToyClips',
            pipeline=pipeline,
            size=9 if split == 'train' else 6,
            seed=0 if split == 'train' else 1,
        ),
        **kwargs,
    )


def toy_config(
    work_dir, epochs: int, hooks=(), model=None, **changes: Any
) -> Config:
    part = dict(type='ActionDataPreprocessor')
    config = Config(
        dict(
            model=toy_recognizer(
                MODALITIES,
                data_preprocessor=dict(
                    type='AudioVisualDataPreprocessor',
                    preprocessors=dict.fromkeys(MODALITIES, part),
                ),
                **(model or {}),
            ),
            work_dir=str(work_dir),
            train_dataloader=loader('train', 'train'),
            val_dataloader=loader('val', 'test'),
            train_cfg=dict(
                type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1
            ),
            val_cfg=dict(type='ValLoop'),
            val_evaluator=dict(type='NoMetric'),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
            ),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1),
                logger=dict(type='LoggerHook', interval=100),
            ),
            custom_hooks=list(hooks),
            default_scope='mmaction',
            randomness=dict(seed=0),
            log_level='ERROR',
            experiment_name=f'{work_dir}-{epochs}-{changes}',
        )
    )
    config.merge_from_dict(changes)
    return config


def without_validation(config: Config) -> Config:
    for name in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        config.pop(name)
    return config


def train(config: Config, probe=None) -> Runner:
    runner = Runner.from_cfg(config)
    if probe is not None:
        runner.register_hook(Probe(probe))
    runner.train()
    return runner


def run(work_dir, epochs: int, hooks=(), probe=None, **kwargs: Any) -> Runner:
    return train(toy_config(work_dir, epochs, hooks, **kwargs), probe)


def run_on_rank(rank: int, hooks, probe, **kwargs: Any) -> Runner:
    """Inside a process group: one epoch, data parallel."""
    with tempfile.TemporaryDirectory() as folder:
        config = toy_config(
            folder,
            1,
            hooks,
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel', device_ids=None
            ),
            **kwargs,
        )
        # The process group is there already.
        os.environ['LOCAL_RANK'] = str(rank)
        config.launcher = 'pytorch'
        return train(config, probe)
