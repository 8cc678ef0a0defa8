"""The valley, the means of pieces, and real runs on toy data."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmgmp.engine.hooks import SWADHook
from mmgmp.engine.hooks.loss_valley import Valley, find_valley
from mmgmp.engine.hooks.weight_segments import WeightSegments
from tests.engine.hooks.test_teacher_hook import Scalar
from tests.engine.hooks.toy_run import run, toy_config

HAND = [5, 3, 2, 2.1, 2.2, 2.0, 2.9, 3, 3.1, 3.2, 3.3, 3.4]
HOOK = dict(type='SWADHook', interval=1, num_converge=2, num_tolerance=2)


def test_hand_computed():
    assert find_valley(HAND[:4]) is None
    assert find_valley(HAND[:5]) == Valley(2, 5, False)
    # The limit is 2.73; it is passed for good at the twelfth measurement.
    assert find_valley(HAND[:11]).is_closed is False
    assert find_valley(HAND) == Valley(2, 6, True)
    assert find_valley([*HAND, 1.0]) == Valley(2, 6, True)


@pytest.mark.parametrize(
    ('losses', 'found'),
    [
        ([], None),
        ([3, 2, 1], None),
        ([1, 1, 1], Valley(0, 3, False)),
        ([math.nan, 1, 2, 3], Valley(1, 3, False)),
        ([1, 2, math.nan], None),
        ([1, 1, 1] + [math.nan] * 6, Valley(0, 3, True)),
        ([0.0, 0.0, 0.0, 0.1], Valley(0, 3, False)),
    ],
)
def test_hard_courses(losses, found):
    assert find_valley(losses) == found


@given(st.lists(st.floats(0, 10), max_size=20), st.integers(1, 4))
def test_what_is_decided_stays(losses, tolerance):
    closed = None
    for count in range(len(losses) + 1):
        found = find_valley(losses[:count], 3, tolerance)
        if closed is not None:
            assert found == closed
        elif found is not None and found.is_closed:
            closed = found


def averaged(losses, values, steps=1, **options):
    """The mean of a scalar weight, and whether it equals the definition."""
    segments = WeightSegments()
    converge, tolerance = options.values()
    for number, value in enumerate(values):
        for offset in range(steps):
            segments.add(Scalar(float(value + offset)))
        segments.close(number)
        seen = losses[: number + 1]
        valley = find_valley(seen, converge, tolerance)
        if valley is None:
            segments.forget(len(seen) - converge + 1)
            assert len(segments.waiting) < converge
            continue
        segments.settle(valley, len(seen) - tolerance + 1)
        assert len(segments.waiting) <= max(converge, tolerance)
        mean = segments.mean(valley)['weight'].item()
        expected = values[valley.start : valley.stop]
        wanted = sum(expected) / len(expected) + (steps - 1) / 2
        assert mean == pytest.approx(wanted, rel=1e-4)
        if valley.is_closed:
            return mean
    return mean


def test_the_mean_of_three_pieces_of_one_step():
    assert averaged([1.0] * 3, [1, 2, 3], c=1, t=6) == pytest.approx(2)


@given(
    st.lists(st.sampled_from([1.0, 1.2, 2.0, 3.0]), min_size=9, max_size=15),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_pieces_that_were_merged_or_forgotten_are_the_right_ones(
    losses, converge, tolerance
):
    losses = [5.0, *losses, 5.0, 5.0, 5.0]
    if find_valley(losses, converge, tolerance) is not None:
        values = [n * n for n in range(len(losses))]
        averaged(losses, values, 2, c=converge, t=tolerance)


def test_frozen_weights_are_not_kept():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    model[0].requires_grad_(False)
    segments = WeightSegments()
    segments.add(model)
    assert {*segments.running} == {
        '1.weight', '1.bias', '1.running_mean', '1.running_var',
    }  # fmt: skip


class Told(SWADHook):
    """Measures, and is told what to have found."""

    def __init__(self, told, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = iter(told)

    def _validation_loss(self, runner):
        assert math.isfinite(super()._validation_loss(runner))
        return next(self.told)


class Steps(Hook):
    """Keeps the weights after each step."""

    priority = 'HIGH'

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, *args, **kwargs):
        weights = runner.model.state_dict()
        self.seen.append({n: v.clone() for n, v in weights.items()})


def train(config, *hooks):
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def saved(folder, epoch):
    return torch.load(folder / f'epoch_{epoch}.pth', weights_only=True)


def test_a_run_saves_the_mean_of_its_valley(tmp_path):
    steps = Steps()  # three an epoch
    hook = Told(
        [9.0, 2.0, 2.2, 2.1, 8.0, 8.0], 1, num_converge=2, num_tolerance=2
    )
    runner = train(toy_config(tmp_path, 2), steps, hook)
    assert hook.valley == Valley(1, 4, True)
    found = saved(tmp_path, 2)
    for name, value in steps.seen[-1].items():
        if value.is_floating_point():
            inside = [weights[name] for weights in steps.seen[1:4]]
            mean = torch.stack(inside).mean(0)
            torch.testing.assert_close(found['state_dict'][name], mean)
        trained = found['ema_state_dict'][f'module.{name}']
        assert torch.equal(trained, value)
    logged = runner.message_hub.get_scalar('train/source_cross_entropy')
    assert logged.current() == 8


def test_without_a_valley_the_trained_weights_are_saved(tmp_path):
    hook = Told([3.0, 2.0, 1.0], 1)
    runner = train(toy_config(tmp_path, 1), hook)
    found = saved(tmp_path, 1)
    for name, value in runner.model.state_dict().items():
        assert torch.equal(found['state_dict'][name], value), name


def test_a_resumed_run_saves_the_same_and_training_is_left_alone(tmp_path):
    exact = dict(type='ExactResumeHook')
    hooks = [dict(HOOK, num_tolerance=4), exact]
    plain = run(tmp_path / 'plain', 2, [exact])
    run(tmp_path / 'whole', 2, hooks)
    run(tmp_path / 'cut', 1, hooks)
    run(tmp_path / 'cut', 2, hooks, resume=True)
    whole, cut = (saved(tmp_path / name, 2) for name in ('whole', 'cut'))
    assert whole['swad_hook']['losses'] == cut['swad_hook']['losses']
    assert len(whole['swad_hook']['losses']) == 6
    for part in ('state_dict', 'ema_state_dict'):
        for name, value in whole[part].items():
            assert torch.equal(value, cut[part][name]), name
    for name, value in plain.model.state_dict().items():
        assert torch.equal(whole['ema_state_dict'][f'module.{name}'], value)


@pytest.mark.parametrize(
    'options',
    [
        dict(interval=0),
        dict(num_converge=0),
        dict(num_tolerance=0),
        dict(tolerance_ratio=-0.1),
        dict(tolerance_ratio=math.nan),
    ],
)
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match='SWADHook needs interval'):
        SWADHook(**options)
