from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.models.methods.simmmdg import SimMMDGMethod
from mmgmp.structures import Task

from .toy_methods import SMALL, hand_batch

TWO = {'video': 4, 'audio': 2}


def build(in_channels=TWO, **kwargs):
    return SimMMDGMethod(
        in_channels, 2, translator_channels=8, **SMALL, **kwargs
    )


@pytest.mark.parametrize(
    ('form', 'expected'), [('mse', -3.0), ('sq_l2', -6.0)]
)
def test_distance(form, expected):
    z = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 2.0]])
    method = build({'video': 4}, distance=form)
    assert method.distance({'video': z}).item() == pytest.approx(expected)


def test_distance_is_a_mean_over_modalities():
    feats = {
        'video': torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 2.0]]),
        'audio': torch.tensor([[0.0, 3.0], [0.0, 0.0]]),
        'flow': torch.zeros(2, 6),
    }
    method = build({m: x.shape[1] for m, x in feats.items()})
    assert method.distance(feats).item() == pytest.approx(-(3 + 4.5) / 3)


def test_distance_can_be_bounded():
    z = torch.tensor([[0.0, 10.0]], requires_grad=True)
    loss = build({'audio': 2}, max_distance=5.0).distance({'audio': z})
    loss.backward()
    assert loss.item() == -5
    assert (z.grad == 0).all()


@pytest.mark.parametrize(
    ('form', 'expected'), [('unit_l2', 0.632456), ('sq_l2_raw', 10.0)]
)
def test_translation_error(form, expected):
    error = build(translation=form).translation_error(
        torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 5.0]])
    )
    assert error.item() == pytest.approx(expected, abs=1e-6)


class Fixed(SimMMDGMethod):
    """The three losses are given numbers."""

    def contrast(self, features, labels):
        return torch.tensor(0.5)

    def distance(self, features):
        return torch.tensor(-3.0)

    def translation(self, sources, targets):
        return torch.tensor(0.632456)


def test_total():
    feats = {'video': torch.zeros(2, 4), 'audio': torch.zeros(2, 2)}
    terms = Fixed(TWO, 2, **SMALL).losses(hand_batch(feats, [0, 1]))
    total = 1 + sum(v for named in terms.values() for v in named.values())
    assert total.item() == pytest.approx(0.463246, abs=1e-6)
    assert set(terms[Task.CLASSIFICATION]) == {'contrast'}
    assert set(terms[Task.DOMAIN]) == {'distance', 'translation'}


@pytest.mark.parametrize('detach', [False, True])
def test_translation_reaches_source_and_target(detach):
    method = build(detach_target=detach)
    # The same features as two leaves: once read, once predicted.
    sources = {m: torch.randn(3, d) for m, d in TWO.items()}
    targets = {m: x.clone().requires_grad_() for m, x in sources.items()}
    sources = {m: x.requires_grad_() for m, x in sources.items()}
    method.translation(sources, targets).backward()
    for m in TWO:
        assert sources[m].grad.abs().sum() > 0
        assert (targets[m].grad is None) is detach
    assert all(p.grad is not None for p in method.translators.parameters())


def test_every_pair_is_translated_and_one_modality_has_none():
    three = build({'video': 4, 'audio': 2, 'flow': 6})
    assert len(three.translators) == 6
    one = build({'video': 4})
    feats = {'video': torch.randn(4, 4)}
    terms = one.losses(hand_batch(feats, [0, 0, 1, 1]))
    assert set(terms[Task.DOMAIN]) == {'distance'}
    assert not one.can_translate


def test_zero_weights_drop_networks():
    method = build(contrast_weight=0.0, translation_weight=0.0)
    assert list(method.parameters()) == []


def test_missing_modality_is_the_mean_of_the_translations():
    method = build({'video': 2, 'audio': 2, 'flow': 2})
    for key, factor in (('video_to_flow', 1.0), ('audio_to_flow', 3.0)):
        method.translators[key] = nn.Linear(2, 2, bias=False)
        method.translators[key].weight.data = factor * torch.eye(2)
    one = torch.ones(1, 2)
    stand_in = method.translate({'video': one, 'audio': one}, 'flow')
    assert stand_in.tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize(
    ('in_channels', 'kwargs', 'match'),
    [
        ({'video': 3}, {}, "even widths, got {'video': 3}"),
        (TWO, dict(distance='l1'), "distance of SimMMDG.*'sq_l2'"),
        (TWO, dict(temperature=0.0), 'temperature of SimMMDG.* must be > 0'),
        (TWO, dict(translation='l1'), "translation of SimMMDG.*'unit_l2'"),
    ],
)
def test_bad_options(in_channels, kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(in_channels, **kwargs)
