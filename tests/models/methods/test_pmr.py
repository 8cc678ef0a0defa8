"""PMR: hand-computed cases, and prototypes of an epoch."""

from __future__ import annotations

import pytest
import torch

from mmgmp.models.methods.pmr import PMRMethod
from mmgmp.structures import Task

from .toy_methods import hand_batch

TWO = {'video': 2, 'audio': 2}


def build(in_channels=TWO, **kwargs):
    return PMRMethod(in_channels, 2, **kwargs)


@pytest.mark.parametrize(
    ('rho', 'weight', 'expected'),
    [
        (2.0, 'clip', (0, 1)),
        (0.5, 'clip', (1, 0)),
        (1.2, 'clip', (0, 0.2)),
        (1.0, 'clip', (0, 0)),
        (1.2, 'hard', (0, 1)),
        (1.0, 'hard', (0, 0)),
    ],
)
def test_weights_by_hand(rho, weight, expected):
    found = build(weight=weight).weights(torch.tensor([rho, 1.0]))
    assert found.tolist() == pytest.approx(expected)


def test_probabilities_by_hand():
    method = build({'video': 2}, temperature=1.0)
    prototypes = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    method.update({'video': prototypes}, torch.ones(2))
    found = method.log_probabilities('video', torch.zeros(1, 2))[0]
    expected = pytest.approx([0.047426, 0.952574], abs=1e-6)
    assert found.exp().tolist() == expected
    assert -found[1].item() == pytest.approx(0.048587, abs=1e-6)


def test_prototypes_by_hand():
    method = build({'video': 1})
    method.update({'video': torch.ones(2, 1)}, torch.ones(2))
    # 1.8 of one old and one new; a class without samples keeps its own.
    method.update(
        {'video': torch.tensor([[4.0], [0.0]])}, torch.tensor([2.0, 0.0])
    )
    assert method.prototypes_video.tolist() == [[pytest.approx(1.8)], [1.0]]


def batch(labels=(0, 1, 0, 1)):
    torch.manual_seed(0)
    features = {m: torch.randn(4, 2, requires_grad=True) for m in TWO}
    return hand_batch(features, list(labels), clean_features=features)


def test_before_any_prototype_the_term_is_zero_with_a_graph():
    data = batch()
    loss = build().losses(data)[Task.CLASSIFICATION]['prototypes']
    loss.backward()
    assert loss.item() == 0
    for feature in data.features.values():
        assert not feature.grad.any()


def test_classes_without_a_prototype_do_not_count():
    method = build()
    only = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    method.update(dict.fromkeys(TWO, only), torch.tensor([1.0, 0.0]))
    data = batch()
    loss = method.losses(data)[Task.CLASSIFICATION]['prototypes']
    loss.backward()
    # One class is certain.
    assert loss.item() == 0
    assert all(x.grad.isfinite().all() for x in data.features.values())


def test_only_the_modality_behind_is_pushed():
    method = build(temperature=1.0)
    data = batch()
    near = torch.stack(
        [data.features['video'].detach()[i::2].mean(0) for i in range(2)]
    )
    method.update({'video': 10 * near, 'audio': -near}, torch.ones(2))
    scores = [
        method.log_probabilities(m, x).exp().gather(
            1, data.labels[:, None]
        ).sum()
        for m, x in data.features.items()
    ]  # fmt: skip
    behind = min(TWO, key=dict(zip(TWO, scores, strict=True)).get)
    ahead = ({*TWO} - {behind}).pop()
    loss = method.losses(data)[Task.CLASSIFICATION]['prototypes']
    loss.backward()
    assert loss > 0
    assert data.features[behind].grad.any()
    assert not data.features[ahead].grad.any()


def test_a_feature_on_its_prototype_has_a_finite_gradient():
    method = build()
    data = batch()
    own = torch.stack([data.features['video'].detach()[i] for i in (0, 1)])
    method.update({'video': own, 'audio': own}, torch.ones(2))
    method.losses(data)[Task.CLASSIFICATION]['prototypes'].backward()
    assert all(x.grad.isfinite().all() for x in data.features.values())


def test_online_prototypes_follow_the_batches():
    method = build(online=True, online_momentum=0.5)
    data = batch()
    method.losses(data)
    first = method.prototypes_video.clone()
    expected = data.features['video'][0::2].mean(0)
    torch.testing.assert_close(first[0], expected)
    method.eval().losses(data)
    assert torch.equal(method.prototypes_video, first)


def test_three_modalities():
    found = build({'a': 1, 'b': 1, 'c': 1}).weights(
        torch.tensor([1.0, 1.0, 0.8])
    )
    assert found.tolist() == pytest.approx([0, 0, 0.25])


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(alpha=0.0), 'alpha of PMRMethod must be > 0'),
        (dict(temperature=0.0), 'temperature of PMRMethod must be > 0'),
        (dict(weight='soft'), "weight must be .*'soft'"),
        (dict(old_share=1.0), 'old_share and online_momentum'),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)
