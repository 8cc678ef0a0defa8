from __future__ import annotations

import pytest
import torch

from mmgmp.models.methods.cmrf import CMRFMethod
from mmgmp.structures import Task

from .toy_methods import SMALL, hand_batch

TWO = {'video': 4, 'audio': 2}
UNIT = {
    'video': torch.tensor([[1.0, 0.0]]),
    'audio': torch.tensor([[0.0, 1.0]]),
}


def build(in_channels=TWO, **kwargs):
    return CMRFMethod(in_channels, 2, **SMALL, **kwargs)


def test_distillation_by_hand(monkeypatch):
    method = build()
    # The own modality's share: lam_v = 0.9, and 1 - lam_a = 0.8.
    shares = iter([torch.tensor([[0.9]]), torch.tensor([[0.8]])])
    monkeypatch.setattr(method, 'mixing_shares', lambda like: next(shares))
    loss = method.distillation(UNIT, UNIT)
    assert loss.item() == pytest.approx(0.232784, abs=1e-6)
    assert 3 * loss.item() == pytest.approx(0.698352, abs=1e-6)


def test_the_own_modality_dominates_the_mixture():
    shares = build().mixing_shares(torch.zeros(5000, 3))
    assert shares.shape == (5000, 1)
    assert (shares >= 0.5).all()
    assert (shares <= 1).all()
    # Beta(0.1, 0.1) has most of its mass at the ends.
    assert (shares > 0.99).float().mean() > 0.5
    assert (shares < 0.9).float().mean() > 0.05


def test_without_mixing_it_is_self_distillation():
    method = build(mix_alpha=0)
    assert (method.mixing_shares(torch.zeros(3, 2)) == 1).all()
    assert method.distillation(UNIT, UNIT).item() == 0


def terms_of(method, teacher=None):
    feats = {m: torch.randn(4, d) for m, d in method.in_channels.items()}
    unimodal = {m: torch.zeros(4, 2) for m in feats}
    return method.losses(
        hand_batch(
            feats,
            [0, 1, 0, 1],
            unimodal_logits=unimodal,
            teacher=teacher or {},
        )
    )


def test_no_distillation_before_the_teacher_has_begun():
    method = build()
    terms = terms_of(method)
    assert set(terms) == {Task.CLASSIFICATION}
    unimodal = terms[Task.CLASSIFICATION]['unimodal'].item()
    assert unimodal == pytest.approx(2 * 1.5 * 0.693147, abs=1e-5)
    taught = method.teach({m: torch.randn(4, d) for m, d in TWO.items()}, None)
    assert set(terms_of(method, taught)[Task.DOMAIN]) == {'distillation'}


def test_one_modality_has_no_mixture():
    method = build({'video': 4})
    taught = method.teach({'video': torch.randn(4, 4)}, None)
    assert set(terms_of(method, taught)) == {Task.CLASSIFICATION}


def test_three_modalities_have_two_targets_each():
    unit = {**UNIT, 'flow': torch.tensor([[1.0, 0.0]])}
    method = build({'video': 4, 'audio': 2, 'flow': 4}, mix_alpha=0)
    turned = {m: -x for m, x in unit.items()}
    # Each of six targets is 2 away: (1 + 0.5 + 1) * 2 * 2.
    assert method.distillation(unit, turned).item() == pytest.approx(10)


def test_bad_options():
    with pytest.raises(ValueError, match=r"modality_weights.*\['sound'\]"):
        build(modality_weights=dict(sound=1.0))
    with pytest.raises(ValueError, match='temperature of CMRFMethod'):
        build(temperature=0.0)
    assert build(modality_weights=dict(video=2.0)).modality_weights == dict(
        video=2.0, audio=0.5
    )
