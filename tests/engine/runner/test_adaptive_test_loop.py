"""Test-time adaptation through the runner, on a toy corpus."""

from __future__ import annotations

import pytest
import torch
from mmengine.runner import Runner

from mmgmp.engine.runner import adaptive_test_loop
from mmgmp.models.adaptation import TentLoss
from mmgmp.registry import METRICS
from tests.engine.hooks.toy_run import NoMetric, loader, toy_config

HEAD = dict(
    type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
)


@METRICS.register_module(force=True)
class KeepScores(NoMetric):
    def __init__(self):
        super().__init__()
        self.scores = []

    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        self.scores += [s['pred_score'].clone() for s in data_samples]


def build(work_dir, test_cfg, batch_size=3, model=None):
    config = toy_config(work_dir, 1, model=model)
    for split in ('train', 'val'):
        config.pop(f'{split}_dataloader')
        config.pop(f'{split}_cfg')
    config.pop('val_evaluator')
    config.pop('optim_wrapper')
    config.test_dataloader = dict(loader('val', 'test'), batch_size=batch_size)
    config.test_evaluator = dict(type='KeepScores')
    config.test_cfg = test_cfg
    torch.manual_seed(0)
    return Runner.from_cfg(config)


def scores_of(runner):
    return torch.stack(runner.test_loop.evaluator.metrics[0].scores)


def adapt(work_dir, test_cfg, **kwargs):
    """Scores and metrics, of a model that is afterwards what it was."""
    test_cfg = dict(type='AdaptiveTestLoop', **test_cfg)
    runner = build(work_dir, test_cfg, **kwargs)
    model = runner.model
    before = {k: v.clone() for k, v in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    metrics = runner.test()
    after = model.state_dict()
    assert all(torch.equal(value, after[k]) for k, value in before.items())
    assert flags == [p.requires_grad for p in model.parameters()]
    return scores_of(runner), metrics


def tent(**kwargs):
    return dict(loss=dict(type='TentLoss'), **kwargs)


def fast(**kwargs):
    return tent(optimizer=dict(type='SGD', lr=1.0), **kwargs)


@pytest.fixture
def plain(tmp_path):
    runner = build(tmp_path / 'plain', dict(type='TestLoop'))
    assert runner.test() == {'seen': 2}
    return scores_of(runner)


@pytest.mark.parametrize('parameters', ['last_stage', 'fusion'])
def test_the_first_batch_is_predicted_by_the_checkpoint(
    tmp_path, plain, parameters
):
    scores, metrics = adapt(tmp_path, fast(parameters=parameters))
    assert metrics == {'adapted/seen': 2}
    torch.testing.assert_close(scores[:3], plain[:3])
    assert not torch.allclose(scores[3:], plain[3:])


def test_a_rate_of_zero_is_the_plain_test(tmp_path, plain):
    config = tent(optimizer=dict(type='Adam', lr=0.0))
    torch.testing.assert_close(adapt(tmp_path, config)[0], plain)


def test_episodes_do_not_know_of_each_other(tmp_path, plain):
    scores, _ = adapt(tmp_path, fast(episodic=True))
    torch.testing.assert_close(scores, plain)


def test_norms_use_the_statistics_of_the_batch(tmp_path, plain):
    scores, _ = adapt(tmp_path, fast(parameters='norm'))
    assert not torch.allclose(scores[:3], plain[:3])
    assert scores.isfinite().all()


@pytest.mark.parametrize('kind', ['READLoss', 'AEOLoss'])
def test_other_losses(tmp_path, kind):
    config = dict(fast(), loss=dict(type=kind))
    scores, _ = adapt(tmp_path, config, model=dict(unimodal_heads=HEAD))
    still = dict(config, optimizer=dict(type='SGD', lr=0.0))
    same, _ = adapt(tmp_path, still, model=dict(unimodal_heads=HEAD))
    torch.testing.assert_close(scores[:3], same[:3])
    assert not torch.allclose(scores[3:], same[3:])


def test_a_loss_that_is_not_finite_is_no_step(tmp_path, plain, monkeypatch):
    monkeypatch.setattr(
        TentLoss, 'forward', lambda _, logits, own: logits.sum() * torch.nan
    )
    scores, _ = adapt(tmp_path, fast())
    torch.testing.assert_close(scores, plain)


@pytest.mark.parametrize(
    ('test_cfg', 'batch_size', 'match'),
    [
        (tent(fp16=True), 3, 'fp16 of AdaptiveTestLoop must be False'),
        (tent(parameters='all'), 3, "parameters must be .*'all'"),
        (dict(loss=dict(type='AEOLoss')), 3, 'got a model without; train'),
        (tent(parameters='norm'), 1, 'got a batch of one sample; raise'),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, test_cfg, batch_size, match):
    with pytest.raises(ValueError, match=match):
        adapt(tmp_path, test_cfg, batch_size=batch_size)


def test_several_ranks_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(adaptive_test_loop, 'get_world_size', lambda: 2)
    with pytest.raises(NotImplementedError, match='got 2 ranks'):
        adapt(tmp_path, tent())
