"""Losses without labels: hand-computed cases and hard inputs."""

from __future__ import annotations

import math

import pytest
import torch

from mmgmp.models.adaptation import AEOLoss, READLoss, TentLoss

LOSSES = {
    'tent': TentLoss(),
    'read': READLoss(),
    'read-released': READLoss(balance='softmax_of_sum'),
    'aeo': AEOLoss(),
    'aeo-detached': AEOLoss(detach_weights=True),
}


def logits(*rows):
    return torch.tensor(rows).log()


@pytest.mark.parametrize(
    ('q', 'expected'), [(0.9, 0.094824), (0.5, 0.346574), (0.3, 0.361192)]
)
def test_read_by_hand(q, expected):
    rest = (1 - q) / 4
    found = READLoss.confidence_terms(logits([q, *[rest] * 4]))
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ('p', 'expected'),
    [((0.9, 0.05, 0.05), 0.338515), ((0.4, 0.3, 0.3), -0.638109)],
)
def test_aeo_by_hand(p, expected):
    loss = AEOLoss(agreement_weight=0, balance_weight=0)
    assert loss(logits(p), {}).item() == pytest.approx(expected, abs=1e-6)


def test_aeo_draws_known_looking_modalities_together():
    p = logits((0.9, 0.05, 0.05))
    loss = AEOLoss(balance_weight=0)
    same = loss(p, {'video': p, 'audio': p})
    apart = loss(p, {'video': p, 'audio': p.flip(1)})
    # Of the threshold's known side w is -0.94: the distance is 1.7.
    assert (apart - same).item() == pytest.approx(0.1 * 0.94295 * 1.7, 1e-4)


def test_classes_in_equal_use_have_the_largest_entropy():
    even = logits((0.98, 0.02), (0.02, 0.98))
    odd = logits((0.98, 0.02), (0.98, 0.02))
    for name in ('read', 'read-released', 'aeo'):
        loss = LOSSES[name]
        own = {'video': even}
        assert loss(even, own) < loss(odd, own)
    sums = torch.tensor([0.98 * 2, 0.02 * 2]).softmax(0)
    expected = -(sums * sums.log()).sum()
    found = READLoss.confidence_terms(odd).mean() - LOSSES['read-released'](
        odd, {}
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('scale', [0.0, 1.0, 1e4])
def test_gradients_are_finite(name, count, scale):
    torch.manual_seed(0)
    fused = (scale * torch.randn(4, 3)).requires_grad_()
    own = {f'm{i}': scale * torch.randn(4, 3) for i in range(count)}
    if count == 1:
        # One class for all.
        fused.data[:] = torch.tensor([scale, 0, 0])
    loss = LOSSES[name](fused, own)
    loss.backward()
    assert loss.isfinite()
    assert fused.grad.isfinite().all()


def test_tent_of_a_uniform_prediction():
    assert TentLoss()(torch.zeros(2, 5), {}).item() == pytest.approx(
        math.log(5)
    )


@pytest.mark.parametrize(
    ('build', 'match'),
    [
        (lambda: READLoss(balance='sum'), "balance must be .*'sum'"),
        (lambda: AEOLoss(balance_weight=-1.0), 'must be >= 0, got'),
    ],
)
def test_bad_options(build, match):
    with pytest.raises(ValueError, match=match):
        build()
