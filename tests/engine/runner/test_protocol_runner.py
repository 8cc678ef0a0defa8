"""Runs that a protocol decides, in this process."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmgmp.engine.runner import ProtocolRunner
from mmgmp.registry import RUNNERS
from tests.shipped import GMP, small


@pytest.fixture(scope='module')
def trained(mini_hac, tmp_path_factory):
    """Two steps with cartoon unseen."""
    folder = tmp_path_factory.mktemp('run')
    config = small(Config.fromfile(GMP), mini_hac, folder)
    config.merge_from_dict({'protocol.target': 'cartoon'})
    config.default_hooks.checkpoint = dict(type='SafeCheckpointHook')
    runner = RUNNERS.build(config)
    runner.train()
    return folder, runner


def test_the_fold_reaches_data_model_and_hooks(trained):
    _, runner = trained
    assert isinstance(runner, ProtocolRunner)
    dataset = runner.train_dataloader.dataset
    assert list(dataset.metainfo['domains']) == ['human', 'animal']
    assert runner.cfg.test_dataloader.dataset.domains == ['cartoon']
    assert runner.model.domain_head.num_domains == 2


def test_the_written_config_tests_and_resumes_by_itself(trained, tmp_path):
    folder, runner = trained
    config = Config.fromfile(folder / GMP.name)
    config.work_dir = str(tmp_path)
    config.load_from = str(folder / 'epoch_1.pth')
    metrics = RUNNERS.build(config).test()
    assert 'acc/cartoon_top1' in metrics or 'acc/top1' in metrics
    config.resume = True
    config.train_cfg.max_epochs = 2
    resumed = RUNNERS.build(config)
    resumed.train()
    assert resumed.iter == 2 * runner.iter


def test_a_checkpoint_is_not_tested_on_what_it_was_trained_on(
    trained, mini_hac, tmp_path
):
    folder, _ = trained
    config = small(Config.fromfile(GMP), mini_hac, tmp_path)
    config.load_from = str(folder / 'epoch_1.pth')
    with pytest.raises(ValueError, match='human.* was among the source'):
        RUNNERS.build(config).test()


def test_a_plain_dict_will_do(mini_hac, tmp_path):
    config = small(Config.fromfile(GMP), mini_hac, tmp_path).to_dict()
    runner = ProtocolRunner.from_cfg(config)
    assert runner.cfg.test_dataloader.dataset.domains == ['human']


def test_an_unknown_domain_is_refused_before_anything_is_built(tmp_path):
    config = Config.fromfile(GMP)
    config.merge_from_dict(
        {'protocol.target': 'robot', 'work_dir': str(tmp_path / 'run')}
    )
    with pytest.raises(ValueError, match=r"among .*human.* got \['robot'\]"):
        RUNNERS.build(config)
    assert not (tmp_path / 'run').exists()
