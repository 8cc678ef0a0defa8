"""The hook stops runs on a real corpus, and its checkpoints know theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmgmp.engine.hooks import SettingsCheckHook
from mmgmp.registry import RUNNERS
from mmgmp.utils.settings import KEY
from tests import shipped


def load(work_dir, data, **options):
    config = shipped.load()
    # What a config without a protocol may say.
    config.protocol = None
    config.work_dir = str(work_dir)
    config.train_cfg.max_epochs = 1
    config.log_level = 'WARNING'
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=4)
        loader.dataset.update(data_root=str(data), indices=4)
    config.merge_from_dict(options)
    return config


@pytest.fixture(scope='module')
def checkpoint(mini_hac, tmp_path_factory) -> Path:
    """One step on animal and cartoon."""
    from mmengine.registry import DefaultScope

    folder = tmp_path_factory.mktemp('trained')
    with DefaultScope.overwrite_default_scope('mmaction'):
        RUNNERS.build(load(folder, mini_hac)).train()
    return folder / 'epoch_1.pth'


def test_a_checkpoint_says_what_it_was_trained_on(checkpoint):
    meta = torch.load(checkpoint, weights_only=True)['meta']
    assert meta[KEY]['sources'] == meta[KEY]['seen'] == ['animal', 'cartoon']
    assert meta[KEY]['modalities'] == ['video', 'audio']
    assert len(meta[KEY]['classes']) == 7


@pytest.mark.parametrize('build', [Runner.from_cfg, RUNNERS.build])
def test_errors_come_before_the_first_step(build, mini_hac, tmp_path):
    wrong = {
        'train_dataloader.batch_size': 5,
        'test_dataloader.dataset.domains': ['humna'],
        # MMEngine cannot make a schedule of no steps.
        'param_scheduler': [],
    }
    with pytest.raises(ValueError, match='2 settings do not fit') as raised:
        build(load(tmp_path, mini_hac, **wrong)).train()
    assert 'at most the 4 samples, got 5' in str(raised.value)
    assert "got ['humna']" in str(raised.value)
    assert not list(tmp_path.glob('*.pth'))


def test_a_source_is_tested_only_on_demand(checkpoint, mini_hac, tmp_path):
    options = {
        'load_from': str(checkpoint),
        'test_dataloader.dataset.domains': ['cartoon'],
    }
    config = load(tmp_path, mini_hac, **options)
    with pytest.raises(ValueError, match='was among the source domains'):
        Runner.from_cfg(config.copy()).test()
    config.default_hooks.settings.allow_seen_target = True
    assert 'acc/top1' in Runner.from_cfg(config).test()


def test_weights_that_do_not_fit_are_not_tested(
    checkpoint, mini_hac, tmp_path
):
    options = {
        'load_from': str(checkpoint),
        'model.cls_head.hidden_channels': 8,
    }
    with pytest.raises(ValueError, match='another shape cls_head'):
        Runner.from_cfg(load(tmp_path, mini_hac, **options)).test()


def test_a_run_is_not_resumed_on_other_sources(checkpoint, mini_hac, tmp_path):
    options = {
        'load_from': str(checkpoint),
        'resume': True,
        'train_dataloader.dataset.domains': ['cartoon', 'animal'],
        'val_dataloader.dataset.domains': ['cartoon', 'animal'],
    }
    with pytest.raises(ValueError, match='resume must keep the source'):
        Runner.from_cfg(load(tmp_path, mini_hac, **options)).train()


def test_starting_from_weights_that_saw_the_target(
    checkpoint, mini_hac, tmp_path
):
    sources = ['animal', 'human']
    options = {
        'load_from': str(checkpoint),
        'train_dataloader.dataset.domains': sources,
        'val_dataloader.dataset.domains': sources,
        'test_dataloader.dataset.domains': ['cartoon'],
    }
    config = load(tmp_path, mini_hac, **options)
    with pytest.raises(ValueError, match='it is no unseen target'):
        Runner.from_cfg(config.copy()).train()
    config.default_hooks.settings.allow_seen_target = True
    Runner.from_cfg(config).train()
    meta = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['meta']
    assert meta[KEY]['sources'] == sources
    assert meta[KEY]['seen'] == [*sources, 'cartoon']


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="got \\['batches'\\]"):
        SettingsCheckHook(ignore=['batches'])
