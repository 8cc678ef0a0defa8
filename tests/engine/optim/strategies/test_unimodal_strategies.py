"""MMPareto and DGL: hand-computed cases."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.engine.optim import (
    DisentangledModulation,
    ParetoProjection,
    TaskGradientOptimWrapper,
)
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
    attach_task_losses,
)


def pareto(first, second, scale=1.0, k=1.0, **options):
    """Factors of the two gradients of each encoder, ``(2, M)``."""
    f, s = (
        scale * torch.tensor(x, dtype=torch.double) for x in (first, second)
    )
    one = torch.ones(len(f), dtype=torch.double)
    factors, conflict = ParetoProjection(**options).project(
        GradientProducts(f.square().sum(1), s.square().sum(1), (f * s).sum(1)),
        Coefficients(k * one, one, one, unimodal=one),
        BatchSignals(('video', 'audio', 'flow')[: len(f)], one, one),
    )
    assert torch.equal(conflict, (f * s).sum(1) < 0)
    return torch.stack(
        [factors.of(Task.CLASSIFICATION), factors.of(Task.UNIMODAL)]
    )


@pytest.mark.parametrize('scale', [1e-15, 1.0, 1e15])
@pytest.mark.parametrize(
    ('second', 'expected'),
    [
        ([1, 1], [1.5, 1.5]),
        ([-1, 1], [2.012461, 1.341641]),
        ([-2, 2], [4.651303, 1.395391]),
        ([-4, 1], [19.535471, 4.651303]),
        ([0, 0], [1.5, 1.5]),
        ([-1, 0], [1.5, 1.5]),  # nothing is left to lengthen
        ([0, 1], [1.5, 1.5]),  # neither agreement nor conflict
    ],
)
def test_mmpareto(second, expected, scale):
    found = pareto([[1.0, 0]], [second], scale, max_rescale=None)
    assert found[:, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_mixture_is_no_longer_than_allowed():
    first, second = [[1.0, 0]] * 3, [[-4.0, 1], [-2, 2], [-1 + 1e-9, 1e-9]]
    capped, free = (
        pareto(first, second, max_rescale=limit) for limit in (3.0, None)
    )
    longer = free[:, 0] / capped[:, 0]
    assert longer[0] == pytest.approx(longer[1].item())
    assert longer[0] > 1
    assert torch.equal(capped[:, 1], free[:, 1])  # twice as long
    assert capped.isfinite().all()


def test_a_modulation_in_front():
    first, second = [[2.0, 0]], [[-1.0, 1]]
    halved = pareto(first, second, k=0.5)
    alone = pareto([[1.0, 0]], second)
    torch.testing.assert_close(
        halved, alone * torch.tensor([[0.5], [1.0]], dtype=torch.double)
    )


def gradient_of(modulation, micro=1, level='parameter', **gradients):
    """Minus the update of an encoder with given gradients by task."""
    weight = nn.Parameter(torch.zeros(2))
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD([weight], lr=1.0),
        modulation,
        accumulative_counts=micro,
        level=level,
    )
    for _ in range(micro):
        feature = 1 * weight
        losses = {
            Task(task): (feature * torch.tensor(g)).sum()
            for task, g in gradients.items()
        }
        wrapper.update_params(
            attach_task_losses(
                sum(losses.values()),
                TaskLosses(
                    losses, {'video': [weight]}, features={'video': feature}
                ),
            )
        )
    return (-weight.detach()).tolist()


@pytest.mark.parametrize(
    'course', [{}, dict(micro=2), dict(level='feature')], ids=str
)
@pytest.mark.parametrize('fused', [3.0, torch.inf])
def test_dgl(course, fused):
    """What is left out does not even have to be finite."""
    found = gradient_of(
        DisentangledModulation(alpha=4.0),
        **course,
        cls=(fused, 7.0),
        unimodal=(1.0, 2.0),
        domain=(0.0, 1.0),
    )
    assert found == [4, 9]


def test_dgl_outside_its_window_leaves_nothing_out():
    found = gradient_of(
        DisentangledModulation(alpha=4.0, start_epoch=1),
        cls=(3.0, 7.0),
        unimodal=(1.0, 2.0),
    )
    assert found == [4, 9]


@pytest.mark.parametrize(
    ('build', 'match'),
    [
        (lambda: ParetoProjection(gamma=0), 'gamma must be > 0'),
        (lambda: ParetoProjection(max_rescale=0.5), 'max_rescale >= 1'),
        (lambda: DisentangledModulation(alpha=0), 'alpha of Disentangled'),
        (
            lambda: gradient_of(DisentangledModulation(), cls=(1.0, 1.0)),
            r"losses for \['unimodal'\].*model.methods",
        ),
    ],
)
def test_bad_options(build, match):
    with pytest.raises(ValueError, match=match):
        build()
