from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmgmp.engine.optim import AGMModulation
from mmgmp.structures import Task, TaskLosses
from mmgmp.utils.ratios import adaptive_gains, mean_of_others

from .toy_strategies import signals

S = torch.tensor([0.5, 1.5], dtype=torch.float64)
RUNNING = torch.tensor([1.0, 1.2], dtype=torch.float64)


def test_worked_advantages():
    advantage = torch.exp(mean_of_others(S) - S)
    long_run = torch.exp(mean_of_others(RUNNING) - RUNNING)
    assert advantage.tolist() == pytest.approx([2.718282, 0.367879], abs=1e-6)
    assert long_run.tolist() == pytest.approx([1.221403, 0.818731], abs=1e-6)


@pytest.mark.parametrize(
    ('alpha', 'expected'),
    [(1.0, [0.223828, 1.569648]), (0.1, [0.860977, 1.046117])],
)
def test_worked_gains(alpha, expected):
    agm = AGMModulation(alpha)
    agm.running_scores = RUNNING
    agm.num_updates = torch.tensor(4.0)
    factors = agm.factors(signals(share_cross_entropy=S.tolist()))
    assert factors.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_first_step():
    agm = AGMModulation()
    even = agm.factors(signals(share_cross_entropy=[0.5, 0.5]))
    assert even.tolist() == [1, 1]
    agm = AGMModulation()
    agm.factors(signals(share_cross_entropy=[0.5, 1.5]))
    assert agm.running_scores.tolist() == [0.5, 1.5]


def test_the_running_score_is_a_mean_over_all_steps():
    agm = AGMModulation()
    scores = torch.rand(5, 2, dtype=torch.float64)
    for score in scores:
        agm.factors(signals(share_cross_entropy=score.tolist()))
    torch.testing.assert_close(agm.running_scores, scores.mean(0))


def test_gains_are_capped_and_one_for_a_single_modality():
    far = torch.tensor([0.0, 50.0])
    gains = adaptive_gains(far, far.flip(0), 1.0, 10.0)
    assert gains[1].item() == pytest.approx(math.exp(10))
    assert gains[0].item() == 0
    assert adaptive_gains(far[:1], far[:1], 1.0, 10.0).tolist() == [1]


def test_scores_that_are_not_finite_leave_the_running_mean_alone():
    agm = AGMModulation()
    agm.factors(signals(share_cross_entropy=[0.5, 1.5]))
    bad = agm.factors(signals(share_cross_entropy=[float('nan'), 1.0]))
    assert not bad.isfinite().any()
    agm.factors(signals(share_cross_entropy=[1.5, 0.5]))
    assert agm.running_scores.tolist() == [1, 1]


def test_scores_are_sums_of_cross_entropies_of_the_shares():
    weight = nn.Parameter(torch.ones(1))
    confidence = {
        'video': torch.tensor([0.5, 0.0]),
        'audio': torch.tensor([1.0, 0.25]),
    }
    tasks = TaskLosses(
        {Task.CLASSIFICATION: weight.sum()},
        {'video': [weight], 'audio': [nn.Parameter(torch.ones(1))]},
        {Task.CLASSIFICATION: confidence},
    )
    sums = AGMModulation().observe(tasks)['share_cross_entropy']
    expected = [math.log(2) - math.log(1e-8), math.log(4)]
    assert sums.tolist() == pytest.approx(expected, rel=1e-6)
