from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.engine.optim import OGMModulation, TaskGradientOptimWrapper
from mmgmp.engine.optim.strategies.ogm_modulation import (
    noise_deviation,
    seeded_noise,
)
from mmgmp.structures import Task, TaskLosses, attach_task_losses

from .toy_strategies import StrategyToy, signals, toy_data

K = 0.2384058440442351  # 1 - tanh(1)


def test_worked_ratios():
    factors = OGMModulation(alpha=0.5).factors(signals((2.0, 0.5)))
    assert factors.tolist() == pytest.approx([0.238406, 1], abs=1e-6)
    equal = OGMModulation(alpha=0.5).factors(signals((1.0, 1.0)))
    assert equal.tolist() == [1, 1]


def loss_of(weight, bias, gradient, ratio=2.0):
    """Linear loss whose gradient is what is asked for."""
    total = (weight * torch.tensor(gradient).view_as(weight)).sum()
    total = total + bias.sum()
    confidences = {
        'video': torch.tensor([0.4 * ratio]),
        'audio': torch.tensor([0.4]),
    }
    other = nn.Parameter(torch.zeros(1))
    return attach_task_losses(
        total,
        TaskLosses(
            {Task.CLASSIFICATION: total},
            {'video': [weight, bias], 'audio': [other]},
            {Task.CLASSIFICATION: confidences},
        ),
    )


def update_of(modulation, shape=(1, 2), gradient=(4.0, -2.0), **kwargs):
    weight = nn.Parameter(torch.zeros(shape))
    bias = nn.Parameter(torch.zeros(2))
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD([weight, bias], lr=1.0), modulation
    )
    wrapper.update_params(loss_of(weight, bias, gradient, **kwargs))
    return -weight.detach(), -bias.detach()


@pytest.mark.parametrize('shape', [(1, 2), (1, 2, 1, 1), (1, 1, 2, 1, 1)])
def test_weights_of_any_dimension_are_scaled_and_biases_are_not(shape):
    weight, bias = update_of(OGMModulation(), shape)
    assert weight.flatten().tolist() == pytest.approx([0.953623, -0.476812])
    assert bias.tolist() == [1, 1]


def test_worked_noise_deviation():
    gradient = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert noise_deviation(gradient).item() == pytest.approx(1.154701)
    assert noise_deviation(torch.zeros(3)).item() == pytest.approx(1e-8)
    assert noise_deviation(torch.ones(1, 1)) is None


@pytest.mark.parametrize('ratio', [0.5, 1.0, 2.0, 1e6])
def test_noise_has_the_deviation_of_the_unscaled_gradient(ratio):
    """Also where k is 1, and where it has saturated at 0."""
    gradient = (1.0, -1.0, 1.0, -1.0)
    kwargs = dict(shape=(2, 2), gradient=gradient, ratio=ratio)
    plain, _ = update_of(OGMModulation(), **kwargs)
    noisy, bias = update_of(OGMModulation(noise=True, seed=7), **kwargs)
    expected = seeded_noise(plain, (7, 0, 0)) * 1.1547005
    torch.testing.assert_close(noisy - plain, expected)
    assert bias.tolist() == [1, 1]


def test_noise_of_both_tasks_has_the_deviation_of_their_sum():
    """apply_to='cls' keeps the task gradients apart; the sum counts."""
    torch.manual_seed(0)
    model = StrategyToy()
    weight = model.encoders['video'][0].weight
    loss = model.loss(toy_data(16))
    total = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    seen = []
    modulation = OGMModulation(noise=True, apply_to='cls')
    finalize = modulation.finalize
    modulation.finalize = lambda gradients, s: (
        seen.append(modulation._deviations['video'][0]),
        finalize(gradients, s),
    )
    TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), modulation
    ).update_params(loss)
    torch.testing.assert_close(seen[0], total.std() + 1e-8)


def test_noise_differs_between_steps_tensors_and_seeds():
    like = torch.zeros(100)
    drawn = [
        seeded_noise(like, key)
        for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    ]
    for index, first in enumerate(drawn):
        for second in drawn[index + 1 :]:
            pair = torch.stack([first, second])
            assert abs(torch.corrcoef(pair)[0, 1]) < 0.5
    assert torch.equal(drawn[0], seeded_noise(like, (0, 0, 0)))


def test_noise_is_drawn_once_per_step():
    torch.manual_seed(0)
    model = StrategyToy()
    modulation = OGMModulation(noise=True)
    calls = []
    finalize = modulation.finalize
    modulation.finalize = lambda *a: (calls.append(1), finalize(*a))
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        modulation,
        accumulative_counts=4,
    )
    for seed in range(8):
        wrapper.update_params(model.loss(toy_data(4, seed=seed)))
    assert len(calls) == 2


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(projection=dict(type='TaskProjection')), 'projection=None'),
        (dict(level='feature'), "level='parameter'"),
    ],
)
def test_what_needs_whole_gradients_is_refused(kwargs, match):
    model = StrategyToy()
    with pytest.raises(ValueError, match=match):
        TaskGradientOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=0.1),
            OGMModulation(apply_to='cls'),
            **kwargs,
        )


@pytest.mark.parametrize(('apply_to', 'passes'), [('total', 1), ('cls', 2)])
def test_number_of_passes(apply_to, passes):
    from tests.engine.optim.toy import ToyModel

    model = ToyModel()
    seen = []
    model.encoders['video'][0].weight.register_hook(lambda g: seen.append(1))
    TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        OGMModulation(apply_to=apply_to),
    ).update_params(model.loss(toy_data(16)))
    assert len(seen) == passes
