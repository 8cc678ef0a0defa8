from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from mmgmp.engine.hooks.drb_diagnosis import pull_back, purity, rescale
from mmgmp.engine.hooks.drb_hook import DRBHook, _fitting
from mmgmp.registry import HOOKS
from tests.processes import run_ranks

from .toy_run import (
    MODALITIES,
    ToyClips,
    run,
    run_on_rank,
    toy_config,
    train,
    without_validation,
)

DRB = dict(
    type='DRBHook',
    interval=1,
    times=2,
    num_restarts=2,
    order='before_validation',
)
AFTER = dict(DRB, order='after_validation')


def test_worked_purity():
    assert purity(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])) == 0.75
    assert purity(np.array([0, 1, 2]), np.array([5, 5, 5])) == 1 / 3


def test_worked_pull():
    strength = math.tanh(3 * abs(0.9 - 0.6))
    assert strength == pytest.approx(0.716298, abs=1e-6)
    theta = torch.tensor([3.0])
    pull_back([theta], [torch.tensor([1.0])], strength)
    assert theta.item() == pytest.approx(1.567404, abs=1e-6)


def test_no_gap_changes_nothing_bit_for_bit():
    theta = torch.cat([torch.randn(1000), torch.tensor([-0.0, 1.0])])
    start = torch.cat([torch.randn(1001), torch.tensor([float('inf')])])
    bits = theta.clone().view(torch.int32)
    pull_back([theta], [start], math.tanh(0.0))
    assert torch.equal(theta.view(torch.int32), bits)


def test_schedule():
    hook = DRBHook(interval=20, times=3)
    fired = []
    for epoch in range(90):
        if hook.is_due(epoch, len(fired)):
            fired.append(epoch)
    assert fired == [20, 40, 60]


def test_features_are_scaled_within_their_set():
    scaled = rescale(np.random.default_rng(0).normal(size=(20, 3)))
    assert scaled.min(0).tolist() == pytest.approx([-1] * 3)
    assert scaled.max(0).tolist() == pytest.approx([1] * 3)
    assert rescale(np.full((4, 2), 7.0)).tolist() == [[0, 0]] * 4


def the_hook(runner):
    return next(h for h in runner.hooks if isinstance(h, DRBHook))


def trajectory(work_dir, epochs, drb=DRB, **kwargs):
    """Encoder weights and tau after each epoch."""
    seen = []

    def look(runner):
        hook = the_hook(runner)
        seen.append(hook.done)

    hooks = [drb, dict(type='ExactResumeHook')]
    runner = run(work_dir, epochs, hooks, look, **kwargs)
    return runner, seen


def test_a_run_pulls_encoders_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(
        DRBHook, 'diagnose', lambda self, runner: {'video': 1e9, 'flow': 0.0}
    )
    start = {}
    changed = {}
    original = DRBHook.after_train_epoch

    def watch(self, runner):
        before = {k: v.clone() for k, v in runner.model.state_dict().items()}
        original(self, runner)
        for name, value in runner.model.state_dict().items():
            if not torch.equal(value, before[name]):
                changed.setdefault(runner.epoch, {})[name] = value.clone()

    monkeypatch.setattr(DRBHook, 'after_train_epoch', watch)
    before_train = DRBHook.before_train

    def remember(self, runner):
        start.update(
            {k: v.clone() for k, v in runner.model.state_dict().items()}
        )
        before_train(self, runner)

    monkeypatch.setattr(DRBHook, 'before_train', remember)
    _, done = trajectory(tmp_path, 4)
    assert done == [0, 1, 2, 2]
    assert list(changed) == [1, 2]
    names = changed[1]
    assert all(name.startswith('encoders.video') for name in names)
    assert not any('running' in name for name in names)
    for name, value in names.items():
        torch.testing.assert_close(value, start[name])


def test_diagnosis_reads_training_data_without_augmentation(tmp_path):
    ToyClips.pipelines_read.clear()
    seen = []

    def look(runner):
        ToyClips.pipelines_read.clear()
        hook = the_hook(runner)
        was_training = runner.model.training
        gaps = hook.diagnose(runner)
        seen.append(list(ToyClips.pipelines_read))
        assert runner.model.training is was_training
        assert set(gaps) == set(MODALITIES)
        assert all(0 <= gap <= 1 for gap in gaps.values())
        assert gaps == hook.diagnose(runner)

    run(tmp_path, 1, [DRB], look)
    assert seen == [['test'] * 15]


@pytest.mark.parametrize('reset', [False, True])
def test_optimizer_state_is_kept_unless_asked(tmp_path, monkeypatch, reset):
    monkeypatch.setattr(
        DRBHook, 'diagnose', lambda self, runner: {'video': 0.1, 'flow': 0.1}
    )
    kept = []

    def look(runner):
        state = runner.optim_wrapper.optimizer.state
        encoders = runner.model.trainable_encoder_parameters()
        kept.append(any(p in state for ps in encoders.values() for p in ps))

    run(
        tmp_path,
        2,
        [dict(DRB, reset_optimizer_state=reset)],
        look,
        optim_wrapper=dict(optimizer=dict(type='Adam')),
    )
    assert kept == [True, not reset]


@pytest.mark.parametrize(('drb', 'count'), [(DRB, 2), (AFTER, 1)])
def test_a_resumed_run_continues_bit_for_bit(tmp_path, drb, count):
    straight, _ = trajectory(tmp_path / 'straight', 3, drb)
    trajectory(tmp_path / 'cut', 2, drb)
    resumed, done = trajectory(tmp_path / 'cut', 3, drb, resume=True)
    hooks = [the_hook(r) for r in (straight, resumed)]
    assert done == [count]
    weights = straight.model.state_dict()
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    for modality in MODALITIES:
        for a, b in zip(
            hooks[0]._initial[modality],
            hooks[1]._initial[modality],
            strict=True,
        ):
            assert torch.equal(a, b)


def test_resuming_a_run_without_the_hook_is_explained(tmp_path):
    run(tmp_path, 1)
    with pytest.raises(ValueError, match='training started from.*load_from'):
        run(tmp_path, 2, [DRB], resume=True)


@pytest.mark.parametrize('shapes', [{'video': [3]}, {'flow': [2]}, {}])
def test_the_start_of_another_model_is_refused(shapes):
    initial = {m: [torch.zeros(*shape)] for m, shape in shapes.items()}
    parameters = {'video': [torch.nn.Parameter(torch.zeros(2))]}
    with pytest.raises(ValueError, match=r"encoders \['video'\], got others"):
        _fitting({'initial': initial}, parameters)


def test_weights_loaded_before_training_are_the_start(tmp_path):
    first = run(tmp_path / 'first', 1, [DRB])
    path = str(tmp_path / 'first' / 'epoch_1.pth')
    starts = []

    def look(runner):
        hook = the_hook(runner)
        starts.append(hook._initial['video'][0].clone())

    run(tmp_path / 'second', 1, [DRB], look, load_from=path)
    weight = first.model.trainable_encoder_parameters()['video'][0]
    assert torch.equal(starts[0], weight.detach())


def gaps_of_rank(rank: int, world_size: int):
    found = []

    def look(runner):
        ToyClips.pipelines_read.clear()
        found.append(the_hook(runner).diagnose(runner))
        found.append(len(ToyClips.pipelines_read))

    run_on_rank(rank, [DRB], look)
    return found


def test_ranks_agree_and_share_the_samples(tmp_path):
    first, second = run_ranks(gaps_of_rank, 2, tmp_path / 'ranks')
    assert first == second
    assert set(first[0]) == set(MODALITIES)
    assert first[1] == 5 + 3


@pytest.mark.parametrize(
    ('hook', 'match'),
    [
        (dict(DRB, mu=0), 'mu must be > 0, got 0'),
        (dict(DRB, interval=0), 'interval must be > 0'),
    ],
)
def test_bad_arguments_are_explained(hook, match):
    hook = {k: v for k, v in hook.items() if k != 'type'}
    with pytest.raises(ValueError, match=match):
        DRBHook(**hook)


def test_bad_set_ups_are_explained(tmp_path):
    config = without_validation(toy_config(tmp_path, 1, [DRB]))
    with pytest.raises(ValueError, match='DRBHook needs validation data'):
        train(config)
    config = toy_config(tmp_path / 'pipeline', 2, [DRB])
    config.train_dataloader.dataset.pop('pipeline')
    with pytest.raises(ValueError, match='set train_dataloader of DRBHook'):
        train(config)


def test_too_few_samples_are_explained():
    hook = DRBHook()
    collected = ({'video': np.zeros((2, 3))}, np.array([0, 1]))
    with pytest.raises(ValueError, match='3 clusters.*got 2 samples'):
        hook._purities(collected, 3)


def test_features_that_are_not_finite_are_explained():
    features = {'audio': np.full((4, 2), np.nan)}
    with pytest.raises(ValueError, match="finite.*'audio'.*learning rate"):
        DRBHook()._purities((features, np.arange(4) % 2), 2)


def test_an_epoch_is_validated_with_the_weights_it_was_trained_to(
    tmp_path, monkeypatch
):
    """Its checkpoint holds them too; the pull is the next epoch's start."""
    monkeypatch.setattr(
        DRBHook, 'diagnose', lambda self, runner: {'video': 1e9, 'flow': 0.0}
    )
    trained, validated, started = {}, {}, {}

    def weight(runner):
        return runner.model.trainable_encoder_parameters()['video'][0].clone()

    class Watch(Hook):
        priority = 'LOW'

        def before_train_epoch(self, runner):
            started[runner.epoch] = weight(runner)

        def after_train_epoch(self, runner):
            trained[runner.epoch] = weight(runner)

        def before_val_epoch(self, runner):
            validated[runner.epoch - 1] = weight(runner)

    HOOKS.register_module(module=Watch, force=True)
    runner = run(tmp_path, 4, [AFTER, dict(type='Watch')])
    assert all(torch.equal(trained[e], validated[e]) for e in range(4))
    assert torch.equal(started[1], trained[0])
    for epoch in (2, 3):  # behind epochs 1 and 2
        assert not torch.equal(started[epoch], trained[epoch - 1])
        torch.testing.assert_close(started[epoch], started[0])
    assert the_hook(runner).done == 2
