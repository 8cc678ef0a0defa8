from __future__ import annotations

import dataclasses

import pytest
import torch

from mmgmp.engine.optim import (
    AmpTaskGradientOptimWrapper,
    CGGMModulation,
    TaskGradientOptimWrapper,
)
from mmgmp.structures import attach_task_losses, get_task_losses
from tests.engine.optim.toy import ToyModel

from .toy_strategies import StrategyToy, signals, toy_data


def balance_after(first, second, **kwargs):
    cggm = CGGMModulation(**kwargs)
    cggm.factors(signals(probe_correct=first))
    factors = cggm.factors(signals(probe_correct=second))
    return cggm.last_balance.tolist(), factors.tolist()


def test_worked_balance():
    balance, factors = balance_after([0.5, 0.4], [0.6, 0.7])
    assert balance == pytest.approx([0.75, 0.25], abs=1e-6)
    assert factors == pytest.approx([0.975, 0.325], abs=1e-6)
    balance, _ = balance_after([0.2, 0.5], [0.5, 0.4])
    assert balance == pytest.approx([-0.5, 1.5], abs=1e-6)
    balance, _ = balance_after([0.5, 0.5], [0.5, 0.5])
    assert balance == [1, 1]


def test_the_first_step_starts_from_accuracy_zero():
    cggm = CGGMModulation()
    factors = cggm.factors(signals(probe_correct=[0.1, 0.3]))
    assert factors.tolist() == pytest.approx([0.975, 0.325], abs=1e-6)


def test_balance_may_be_huge_unless_a_range_is_given():
    balance, _ = balance_after([0.5, 0.5], [0.75, 0.25])
    assert max(abs(b) for b in balance) > 1e6
    balance, _ = balance_after([0.5, 0.5], [0.75, 0.25], coeff_range=(0, 2))
    assert balance == [0, 2]


def test_a_balance_that_is_not_finite_is_one():
    cggm = CGGMModulation()
    nan = torch.full((2,), float('nan'))
    assert cggm.balance(nan, nan).tolist() == [1, 1]


def test_the_model_is_told_the_balance_once_per_step():
    torch.manual_seed(0)
    model = StrategyToy()
    modulation = CGGMModulation()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        modulation,
        accumulative_counts=2,
    )
    for seed in range(4):
        wrapper.update_params(model.loss(toy_data(16, seed=seed)))
    assert len(model.told) == 2
    assert torch.equal(model.told[-1]['balance'], modulation.last_balance)


def test_outside_the_window_the_model_is_told_zeros():
    cggm = CGGMModulation(start_epoch=1)
    cggm.factors(signals(probe_correct=[0.1, 0.3]))
    assert cggm.feedback()['balance'].tolist() == [0, 0]


def test_missing_probes_and_a_single_modality_are_explained():
    model = ToyModel()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), CGGMModulation()
    )
    with pytest.raises(ValueError, match='CGGMProbesMethod'):
        wrapper.update_params(model.loss(toy_data(4)))
    with pytest.raises(ValueError, match=r"two or more.*\['video'\]"):
        CGGMModulation().factors(signals((1.0,), probe_correct=[0.5]))


@pytest.mark.parametrize('loss_scale', [None, 64.0])
def test_clipping_leaves_the_probes_out(loss_scale):
    """A huge balance shortens every step but theirs."""
    torch.manual_seed(0)
    model = StrategyToy()
    encoder, probes = model.encoders['video'][0].weight, model.probes
    start = {p: p.detach().clone() for p in model.parameters()}
    kind, kwargs = TaskGradientOptimWrapper, {}
    if loss_scale is not None:
        kind = AmpTaskGradientOptimWrapper
        kwargs = dict(dtype='float64', loss_scale=loss_scale)
    wrapper = kind(
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        clip_grad=dict(max_norm=1e-3),
        **kwargs,
    )
    loss = model.loss(toy_data(16))
    plain = torch.autograd.grad(
        loss, list(probes.parameters()), retain_graph=True
    )
    tasks = get_task_losses(loss)
    wrapper.update_params(
        attach_task_losses(
            loss,
            dataclasses.replace(tasks, unclipped=list(probes.parameters())),
        )
    )
    for parameter, gradient in zip(probes.parameters(), plain, strict=True):
        torch.testing.assert_close(start[parameter] - parameter, gradient)
    others = [p for p in start if all(p is not q for q in probes.parameters())]
    length = torch.stack([(start[p] - p).norm() for p in others]).norm()
    assert length.item() == pytest.approx(1e-3, rel=1e-4)
    assert not torch.equal(encoder, start[encoder])
