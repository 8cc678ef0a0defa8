"""Losses of unimodal heads, apart from the fused one or not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.engine.optim.strategies.base import (
    Modulation,
    Projection,
    identity_coefficients,
)
from mmgmp.structures import Coefficients, Task, attach_task_losses
from mmgmp.structures.loss_report import loss_name

from .strategies.test_not_finite import ALL
from .strategies.toy_strategies import APART, StrategyToy
from .toy import toy_data


class Pareto(Projection):
    """Compares the fused with the unimodal losses."""

    pair = (Task.CLASSIFICATION, Task.UNIMODAL)
    required_tasks = frozenset({Task.UNIMODAL})

    def project(self, products, coefficients, signals):
        return (
            coefficients.replace(
                {
                    Task.CLASSIFICATION: products.domain,
                    Task.UNIMODAL: -products.domain,
                }
            ),
            products.cross < 0,
        )


class Disentangled(Modulation):
    """Encoders learn from their own losses alone."""

    def coefficients(self, signals):
        ones = torch.ones_like(signals.semantic_ratio)
        return Coefficients(0 * ones, ones, ones, unimodal=3 * ones)


def losses(model, kind, seed=0):
    """The toy's losses; some of the classification under another task."""
    total = model.loss(toy_data(16, seed=seed))
    tasks = total._mmgmp_task_losses
    fused = tasks.losses[Task.CLASSIFICATION]
    extra = 0.3 * sum(f.square().mean() for f in tasks.features.values())
    parts = {**tasks.losses}
    own = torch.stack([parts.pop(Task.UNIMODAL), extra])
    if kind == 'apart':
        parts[Task.UNIMODAL] = own.sum()
    else:
        parts[Task.CLASSIFICATION] = fused + own.sum()
    return attach_task_losses(
        total + extra, dataclasses.replace(tasks, losses=parts)
    )


def trained(kind, micro=1, **parts):
    torch.manual_seed(0)
    model = StrategyToy()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        accumulative_counts=micro,
        **parts,
    )
    for seed in range(2 * micro):
        wrapper.update_params(losses(model, kind, seed))
    return model.state_dict()


@pytest.mark.parametrize('micro', [1, 2])
@pytest.mark.parametrize('strategy', sorted(set(ALL) - set(APART)))
def test_other_strategies_take_them_for_classification(strategy, micro):
    apart = trained('apart', micro, **ALL[strategy])
    together = trained('together', micro, **ALL[strategy])
    for name, value in together.items():
        torch.testing.assert_close(
            apart[name], value, rtol=1e-9, atol=1e-12, msg=name
        )


def step(unimodal, **parts):
    """Minus the update of an encoder with given gradients."""
    weight = nn.Parameter(torch.zeros(2))
    gradients = {
        Task.CLASSIFICATION: (1.0, 0.0),
        Task.UNIMODAL: unimodal,
        Task.DOMAIN: (0.0, 10.0),
    }
    parts_of_loss = {
        task: (weight * torch.tensor(g)).sum()
        for task, g in gradients.items()
        if g
    }
    from mmgmp.structures import TaskLosses

    TaskGradientOptimWrapper(
        torch.optim.SGD([weight], lr=1.0), **parts
    ).update_params(
        attach_task_losses(
            sum(parts_of_loss.values()),
            TaskLosses(parts_of_loss, {'video': [weight]}),
        )
    )
    return (-weight.detach()).tolist()


def test_a_projection_may_compare_the_two():
    assert step((-1.0, 2.0), projection=Pareto()) == [5 + 5, -10 + 10]


def test_a_modulation_may_give_them_a_factor_of_their_own():
    assert step((1.0, 2.0), modulation=Disentangled()) == [3, 6 + 10]


def test_what_was_counted_as_classification_gets_no_factor():
    with pytest.raises(ValueError, match='projection=TaskProjection counts'):
        step(
            (1.0, 2.0),
            modulation=Disentangled(),
            projection=dict(type='TaskProjection', rule='pcgrad'),
        )


def test_a_strategy_that_needs_them_says_so():
    with pytest.raises(ValueError, match=r"losses for \['unimodal'\]"):
        step(None, projection=Pareto())


def test_their_terms_have_a_name_in_the_log():
    assert loss_name(Task.UNIMODAL, 'video') == 'loss_unimodal_video'


class Noted(Modulation):
    """Keeps what :meth:`finalize` gets."""

    def __init__(self):
        super().__init__()
        self.pairs = {}

    def coefficients(self, signals):
        return identity_coefficients(signals)

    def finalize(self, gradients, signals):
        self.pairs = gradients
        for pairs in gradients.values():
            for parameter, gradient in pairs:
                gradient.copy_(parameter.detach())


@pytest.mark.parametrize(
    'projection', [None, dict(type='TaskProjection', rule='pcgrad')]
)
def test_finalize_gets_each_parameter_with_its_gradient(projection):
    model = StrategyToy()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    noted = Noted()
    TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.5), noted, projection
    ).update_params(model.loss(toy_data(16)))
    assert list(noted.pairs) == ['video', 'audio']
    for modality, pairs in noted.pairs.items():
        own = list(model.encoders[modality].parameters())
        assert [id(p) for p, _ in pairs] == [id(p) for p in own]
    for name, value in model.named_parameters():
        if name.startswith('encoders'):  # the weights are their gradients
            torch.testing.assert_close(value, 0.5 * before[name])
