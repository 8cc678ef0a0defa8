"""PCGrad and BALGRAD: hand-computed cases."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.structures import Task, TaskLosses, attach_task_losses
from tests.engine.optim.toy import ToyModel, toy_data

BALGRAD = dict(type='BalGradProjection')


def update_of(projection, **gradients):
    """Minus the update of two encoders with given gradients by task."""
    encoders = {m: nn.Parameter(torch.zeros(2)) for m in ('video', 'audio')}
    losses = {
        Task(task): sum(
            (encoders[m] * torch.tensor(g)).sum() for m, g in by.items()
        )
        for task, by in gradients.items()
    }
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(encoders.values(), lr=1.0), projection=projection
    )
    wrapper.update_params(
        attach_task_losses(
            sum(losses.values()),
            TaskLosses(losses, {m: [p] for m, p in encoders.items()}),
        )
    )
    return {m: (-p.detach()).tolist() for m, p in encoders.items()}


@pytest.mark.parametrize(
    ('g_c', 'g_d', 'expected'),
    [
        ((1.0, 0.0), (-1.0, 1.0), [0.5, 1.5]),
        ((1.0, 0.0), (1.0, 1.0), [2, 1]),
        ((1.0, -2.0), (-2.0, 4.0), [0, 0]),
    ],
    ids=['conflict', 'agreement', 'anti-parallel'],
)
def test_pcgrad(g_c, g_d, expected):
    update = update_of(
        dict(type='TaskProjection', rule='pcgrad'),
        cls=dict(video=g_c, audio=(1.0, 1.0)),
        domain=dict(video=g_d, audio=(1.0, 1.0)),
    )
    assert update['video'] == pytest.approx(expected, abs=1e-6)
    assert update['audio'] == [2, 2]


@pytest.mark.parametrize('scope', ['global', 'modality'])
def test_balgrad_removes_what_opposes_the_alignment(scope):
    update = update_of(
        dict(BALGRAD, scope=scope),
        cls=dict(video=(1.0, 0.0), audio=(0.0, 0.0)),
        align=dict(video=(-1.0, 1.0), audio=(0.0, 0.0)),
    )
    assert update['video'] == pytest.approx([-0.5, 1.5])


def test_balgrad_sums_without_conflict():
    update = update_of(
        BALGRAD,
        cls=dict(video=(1.0, 0.0), audio=(0.0, 1.0)),
        align=dict(video=(1.0, 1.0), audio=(1.0, 0.0)),
        extra=dict(video=(0.0, 5.0), audio=(0.0, 0.0)),
        domain=dict(video=(-9.0, 0.0), audio=(0.0, -7.0)),
    )
    assert update['video'] == [-7, 6]
    assert update['audio'] == [1, -6]


def test_balgrad_adds_domain_and_unimodal_gradients_untouched():
    update = update_of(
        BALGRAD,
        cls=dict(video=(1.0, 0.0), audio=(0.0, 0.0)),
        align=dict(video=(-1.0, 1.0), audio=(0.0, 0.0)),
        extra=dict(video=(0.0, 5.0), audio=(2.0, 0.0)),
        domain=dict(video=(-9.0, 0.0), audio=(0.0, -7.0)),
    )
    assert update['video'] == pytest.approx([-9.5, 6.5])
    assert update['audio'] == [2, -7]


def test_balgrad_sees_all_encoders_as_one_vector_by_default():
    """Video conflicts, but together the two do not."""
    gradients = dict(
        cls=dict(video=(1.0, 0.0), audio=(4.0, 0.0)),
        align=dict(video=(-1.0, 1.0), audio=(1.0, 0.0)),
    )
    assert update_of(BALGRAD, **gradients)['video'] == [0, 1]
    alone = update_of(dict(BALGRAD, scope='modality'), **gradients)
    assert alone['video'] == pytest.approx([-0.5, 1.5])


def test_balgrad_takes_three_differentiations():
    from .toy_strategies import StrategyToy

    model = StrategyToy()
    seen = []
    model.encoders['video'][0].weight.register_hook(lambda g: seen.append(1))
    TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), projection=BALGRAD
    ).update_params(model.loss(toy_data(16)))
    assert len(seen) == 3


def test_balgrad_without_its_losses_is_explained():
    model = ToyModel()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), projection=BALGRAD
    )
    with pytest.raises(ValueError, match=r"losses for \['align'\].*methods"):
        wrapper.update_params(model.loss(toy_data(4)))
