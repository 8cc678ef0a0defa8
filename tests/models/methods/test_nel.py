from __future__ import annotations

import math

import pytest
import torch

from mmgmp.models.methods import nel
from mmgmp.models.methods.nel import NELMethod, mean_shift, negative_entropy
from mmgmp.structures import Task

from .toy_methods import SMALL, hand_batch

TWO = {'video': 4, 'audio': 2}
THREE_ROWS = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def build(in_channels=TWO, **kwargs):
    return NELMethod(in_channels, 2, **SMALL, **kwargs)


@pytest.mark.parametrize(
    ('rows', 'expected'),
    [
        pytest.param(torch.eye(4), -math.log(4), id='identity'),
        pytest.param(torch.ones(3, 2), 0.0, id='one-direction'),
        pytest.param(
            torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]]),
            -0.562335,
            id='three-to-one',
        ),
        pytest.param(
            torch.tensor([[2.0, 0], [0, 1]]), -0.500402, id='raw-rows'
        ),
    ],
)
def test_spectrum(rows, expected):
    rows.requires_grad_()
    loss = negative_entropy(rows)
    loss.backward()
    assert loss.item() == pytest.approx(expected, abs=2e-6)
    assert torch.isfinite(rows.grad).all()


def test_gram_and_covariance_agree():
    wide = torch.randn(5, 9)
    rows = torch.cat([wide, torch.zeros(7, 9)])  # now taller than wide
    torch.testing.assert_close(
        negative_entropy(rows), negative_entropy(wide), atol=1e-5, rtol=0
    )


def test_spectrum_gradient_is_that_of_finite_differences():
    rows = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(negative_entropy, rows)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_spectrum_of_what_is_not_finite_is_not_finite(value):
    rows = torch.randn(3, 4)
    rows[0, 0] = value
    assert not torch.isfinite(negative_entropy(rows))


@pytest.mark.parametrize(
    ('neighbours', 'expected'),
    [
        (
            1,
            [(0.948683, 0.316228), (0.948683, 0.316228), (0.447214, 0.894427)],
        ),
        (
            8,
            [(0.868243, 0.496139), (0.763386, 0.645942), (0.569210, 0.822192)],
        ),
    ],
)
def test_mean_shift(neighbours, expected):
    torch.testing.assert_close(
        mean_shift(THREE_ROWS, neighbours),
        torch.tensor(expected),
        atol=1e-6,
        rtol=0,
    )


def test_a_duplicate_is_a_neighbour_and_the_row_itself_is_not():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    shifted = mean_shift(rows, 1)
    torch.testing.assert_close(shifted[:2], rows[:2])
    assert shifted[2].tolist() == pytest.approx([0.707107, 0.707107])
    assert torch.equal(mean_shift(rows[:1], 8), rows[:1])


@pytest.mark.parametrize(
    ('temperature', 'second', 'expected'),
    [
        (1.0, torch.eye(2), 0.313262),
        (0.25, torch.eye(2), 0.018150),
        (1.0, torch.eye(2).flip(0), 1.313262),
    ],
)
def test_views(temperature, second, expected):
    method = build(unsupervised_temperature=temperature)
    loss = method.views(torch.eye(2), second)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_symmetric_views_average_both_directions():
    first, second = torch.randn(4, 3), torch.randn(4, 3)
    one, two = build(), build(symmetric=True)
    torch.testing.assert_close(
        two.views(first, second),
        (one.views(first, second) + one.views(second, first)) / 2,
    )


@pytest.mark.parametrize(('scale', 'expected'), [(1.0, 3.05), (0.5, 1.525)])
def test_total(monkeypatch, scale, expected):
    method = build(loss_scale=scale)
    monkeypatch.setattr(method, 'views', lambda a, b: torch.tensor(2.0))
    monkeypatch.setattr(
        nel, 'supervised_contrast', lambda *args: torch.tensor(3.0)
    )
    monkeypatch.setattr(nel, 'negative_entropy', lambda x: torch.tensor(-4.0))
    monkeypatch.setattr(
        nel.F, 'cross_entropy', lambda *args: torch.tensor(1.0)
    )
    feats = {m: torch.randn(4, d) for m, d in TWO.items()}
    terms = method.losses(hand_batch(feats, [0, 1, 0, 1], num_views=2))
    total = sum(v for named in terms.values() for v in named.values())
    total = total + (0 if method.replaces_cls_loss else 1)
    assert total.item() == pytest.approx(expected)
    assert set(terms[Task.DOMAIN]) == {'views', 'spectrum'}


def test_bad_options():
    with pytest.raises(ValueError, match='alpha of NELMethod.*1.2'):
        build(alpha=1.2)
    with pytest.raises(ValueError, match='unsupervised_temperature of NEL'):
        build(unsupervised_temperature=0.0)


def test_more_than_two_views_are_refused():
    feats = {m: torch.randn(6, d) for m, d in TWO.items()}
    batch = hand_batch(feats, [0, 1] * 3, num_views=3)
    with pytest.raises(ValueError, match='exactly two views, got 3'):
        build().losses(batch)
