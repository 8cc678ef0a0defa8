from __future__ import annotations

import pytest
import torch

from mmgmp.models.layers import (
    ContrastiveProjector,
    CrossModalTranslator,
    drop_modalities,
    stack_modalities,
    supervised_contrast,
)

APART = {
    'v': torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
    'a': torch.tensor([[0.0, 1.0], [0.0, 1.0]]),
}
ALIGNED = {m: torch.eye(2) for m in ('v', 'a')}


@pytest.mark.parametrize(
    ('vectors', 'labels', 'temperatures', 'expected'),
    [
        pytest.param(APART, [0, 0], (1.0, 1.0), 1.218111, id='one-class'),
        pytest.param(APART, [0, 1], (1.0, 1.0), 1.551445, id='two-classes'),
        pytest.param(APART, [0, 1], (0.1, 0.07), 14.285844, id='released'),
        pytest.param(ALIGNED, [0, 1], (1.0, 1.0), 0.551445, id='aligned'),
    ],
)
def test_supervised_contrast(vectors, labels, temperatures, expected):
    stacked = stack_modalities(vectors, torch.tensor(labels))
    loss = supervised_contrast(*stacked, *temperatures)
    assert loss.item() == pytest.approx(expected, abs=2e-6)


def test_supervised_contrast_ignores_the_order():
    vectors = torch.nn.functional.normalize(torch.randn(7, 4), dim=1)
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 3])
    order = torch.randperm(7)
    torch.testing.assert_close(
        supervised_contrast(vectors, labels),
        supervised_contrast(vectors[order], labels[order]),
    )


@pytest.mark.parametrize('count', [1, 2])
def test_supervised_contrast_without_positives_is_zero(count):
    vectors = torch.eye(2)[:count].requires_grad_()
    loss = supervised_contrast(vectors, torch.arange(count))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(vectors.grad, torch.zeros(count, 2))


def test_projector_and_translator_are_those_of_the_paper():
    projector = ContrastiveProjector(1152)
    assert [
        m.out_features
        for m in projector.layers
        if isinstance(m, torch.nn.Linear)
    ] == [2048, 2048, 128]
    unit = projector(torch.randn(4, 1152)).norm(dim=1)
    torch.testing.assert_close(unit, torch.ones(4))
    assert CrossModalTranslator(512, 2304)(torch.ones(1, 512)).shape == (
        1,
        2304,
    )


def test_drop_modalities_drops_whole_samples_at_the_given_rate():
    features = {'v': torch.ones(4000, 2), 'a': torch.ones(4000, 3)}
    left = drop_modalities(features, torch.tensor([0.3, 0.0]))
    assert torch.equal(left['a'], features['a'])
    assert torch.equal(left['v'][:, 0], left['v'][:, 1])
    assert set(left['v'].unique().tolist()) == {0.0, 1.0}
    assert left['v'].mean().item() == pytest.approx(0.7, abs=0.03)


def test_a_sample_never_loses_everything():
    features = {m: torch.ones(4000, 1) for m in ('v', 'a', 'f')}
    left = drop_modalities(features, torch.ones(3))
    kept = torch.cat(list(left.values()), dim=1)
    assert torch.equal(kept.sum(1), torch.ones(4000))
    assert kept.mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_base_temperature_is_a_factor():
    stacked = stack_modalities(APART, torch.tensor([0, 1]))
    ratio = supervised_contrast(*stacked, 0.1, 0.07) / supervised_contrast(
        *stacked, 0.1, 0.1
    )
    assert ratio.item() == pytest.approx(1.428571, abs=1e-6)
