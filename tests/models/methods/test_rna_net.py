from __future__ import annotations

import pytest
import torch

from mmgmp.models.methods.rna_net import RNANetMethod
from mmgmp.structures import Task

from .toy_methods import hand_batch

TWO = {'video': 2, 'audio': 3}


def features(grad=False):
    return {
        'video': torch.tensor([[3.0, 4.0], [0.0, 10.0]], requires_grad=grad),
        'audio': torch.tensor(
            [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], requires_grad=grad
        ),
    }


def norm_loss(method, feats, labels=(0, 1)):
    return method.losses(hand_batch(feats, list(labels)))[Task.DOMAIN]['norm']


def test_loss_and_gradients_by_hand():
    feats = features(grad=True)
    loss = norm_loss(RNANetMethod(TWO, 2), feats)
    loss.backward()
    assert loss.item() == pytest.approx(16.0)
    torch.testing.assert_close(
        feats['video'].grad, torch.tensor([[1.6, 2.133333], [0.0, 2.666667]])
    )
    torch.testing.assert_close(
        feats['audio'].grad,
        torch.tensor([[-13.333333, 0.0, 0.0], [0.0, -13.333333, 0.0]]),
    )


def test_swapped_roles():
    swapped = RNANetMethod(TWO, 2, pairs=[('audio', 'video')])
    assert norm_loss(swapped, features()).item() == pytest.approx(0.64)


@pytest.mark.parametrize(
    ('kwargs', 'expected'),
    [
        ({}, 1.703704),
        (dict(ratio='sorted', reduction='sum'), 0.805556),
    ],
)
def test_three_modalities(kwargs, expected):
    widths = {'video': 1, 'audio': 1, 'flow': 1}
    feats = {
        m: torch.full((1, 1), n)
        for m, n in zip(widths, (6.0, 3.0, 2.0), strict=True)
    }
    method = RNANetMethod(widths, 2, **kwargs)
    assert method.pairs == [
        ('video', 'flow'),
        ('video', 'audio'),
        ('flow', 'audio'),
    ]
    assert norm_loss(method, feats, [0]).item() == pytest.approx(
        expected, abs=1e-6
    )


def test_classwise():
    widths = {'video': 2, 'audio': 2}
    feats = {
        'video': torch.tensor([[3.0, 4.0], [0.0, 10.0], [6.0, 8.0]]),
        'audio': torch.tensor([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]]),
    }
    method = RNANetMethod(widths, num_classes=4, classwise_weight=1.0)
    terms = method.losses(hand_batch(feats, [0, 1, 1]))
    assert terms[Task.DOMAIN]['norm'].item() == pytest.approx(0.444444)
    classwise = terms[Task.CLASSIFICATION]['classwise']
    assert classwise.item() == pytest.approx(0.5)


def test_equal_norms_and_common_scale():
    method = RNANetMethod({'video': 2, 'audio': 2}, 2)
    equal = {m: torch.tensor([[3.0, 4.0]], requires_grad=True) for m in TWO}
    loss = norm_loss(method, equal, [0])
    loss.backward()
    assert loss.item() == 0
    assert all((x.grad == 0).all() for x in equal.values())
    scaled = {m: 7 * x for m, x in features().items()}
    torch.testing.assert_close(
        norm_loss(RNANetMethod(TWO, 2), scaled),
        norm_loss(RNANetMethod(TWO, 2), features()),
    )


def test_zero_norm_is_finite_and_one_modality_is_zero():
    feats = features()
    feats['audio'] = torch.zeros(2, 3, requires_grad=True)
    loss = norm_loss(RNANetMethod(TWO, 2), feats)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(feats['audio'].grad).all()
    alone = {'video': features(grad=True)['video']}
    loss = norm_loss(RNANetMethod({'video': 2}, 2), alone)
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(ratio='any'), r"ratio of RNANetMethod.*'sorted'.*got 'any'"),
        (dict(pairs=[('video', 'sound')]), "pairs of RNANet.*'sound'"),
        (dict(pairs=[('video', 'video')]), "pairs of two of.*'video'"),
        (dict(pairs=[('video', 'audio', 'video')]), 'pairs of two of'),
        (dict(eps=0.0), 'eps of RNANetMethod must be > 0'),
        (dict(tasks=dict(rna='extra')), r"terms \['classwise', 'norm'\]"),
        (
            dict(tasks=dict(norm='other')),
            "'cls', 'domain'.*'extra'.*got 'other'",
        ),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        RNANetMethod(TWO, 2, **kwargs)


def test_tags_can_be_overridden():
    method = RNANetMethod(TWO, 2, tasks=dict(norm='extra'))
    assert set(method.losses(hand_batch(features(), [0, 1]))) == {Task.EXTRA}
