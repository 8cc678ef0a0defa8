from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from mmgmp.models.methods.moosa import (
    MOOSAMethod,
    draw_permutations,
    shuffle_parts,
    unrank_permutation,
)
from mmgmp.structures import Task

from .toy_methods import SMALL, hand_batch

TWO = {'video': 8, 'audio': 4}


def build(in_channels=TWO, **kwargs):
    options = dict(translator_channels=8, jigsaw_channels=8, **SMALL)
    return MOOSAMethod(in_channels, 2, **{**options, **kwargs})


def test_entropy_weighting():
    logits = torch.tensor(
        [[[0.0, 0.0], [math.log(3), 0.0], [math.log(9), 0.0]]]
    )
    loss = build().weighted(logits, torch.tensor([0]))
    assert loss.item() == pytest.approx(0.327301, abs=1e-6)
    method = build()
    method.reduce = lambda weights, losses: weights
    torch.testing.assert_close(
        method.weighted(logits, torch.tensor([0])),
        torch.tensor([[0.278964, 0.317951, 0.403085]]),
    )


@pytest.mark.parametrize(
    ('reduction', 'expected'), [('sample', 1.1), ('batch', 1.625)]
)
def test_weights_are_per_sample(reduction, expected):
    weights = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    losses = torch.tensor([[1.0, 2.0], [3.0, 0.5]])
    loss = build(reduction=reduction).reduce(weights, losses)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize('detach', [False, True])
def test_weights_may_be_constants(detach):
    logits = torch.randn(3, 3, 2, requires_grad=True)
    labels = torch.tensor([0, 1, 0])
    build(detach_weights=detach).weighted(logits, labels).backward()
    probability = logits.detach().softmax(2)
    entropy = -(probability * probability.log()).sum(2)
    weights = (-entropy).softmax(1)
    truth = nn.functional.one_hot(labels, 2)[:, None]
    constant = weights[:, :, None] * (probability - truth) / 3
    assert torch.allclose(logits.grad, constant, atol=1e-6) is detach


@pytest.mark.parametrize(
    ('index', 'items', 'expected'),
    [
        (23, 4, [3, 2, 1, 0]),
        (10, 4, [1, 3, 0, 2]),
        (12345, 8, [2, 4, 0, 7, 3, 5, 6, 1]),
    ],
)
def test_unranking(index, items, expected):
    assert unrank_permutation(index, items) == expected


def test_unranking_lists_all_in_order():
    listed = [tuple(unrank_permutation(i, 4)) for i in range(24)]
    assert listed == list(itertools.permutations(range(4)))


def test_permutations_are_distinct_seeded_and_need_no_list():
    drawn = draw_permutations(12, 128, seed=3)
    assert drawn.shape == (128, 12)
    assert len({tuple(row) for row in drawn.tolist()}) == 128
    assert torch.equal(drawn.sort(1).values[0], torch.arange(12))
    assert torch.equal(drawn, draw_permutations(12, 128, seed=3))
    assert not torch.equal(drawn, draw_permutations(12, 128, seed=4))


def test_too_few_permutations_are_lowered():
    assert len(draw_permutations(3, 128, seed=0)) == 6
    assert len(build({'audio': 4}).permutations) == 24


def test_jigsaw_rows():
    feats = {
        'video': torch.tensor([[1, 2, 3, 4]]),
        'audio': torch.tensor([[5, 6]]),
    }
    rows = shuffle_parts(feats, torch.tensor([[2, 0, 3, 1], [0, 1, 2, 3]]), 2)
    assert rows.tolist() == [[[5, 1, 2, 6, 3, 4]], [[1, 2, 3, 4, 5, 6]]]


def test_jigsaw_equals_the_plain_loop_with_its_gradient():
    feats = {m: torch.randn(3, d, requires_grad=True) for m, d in TWO.items()}
    orders = draw_permutations(8, 5, seed=0)
    rows = shuffle_parts(feats, orders, 4)
    parts = [p for x in feats.values() for p in x.chunk(4, dim=1)]
    expected = torch.stack(
        [torch.cat([parts[i] for i in row], 1) for row in orders.tolist()]
    )
    assert torch.equal(rows, expected)
    weight = torch.randn_like(rows)
    torch.testing.assert_close(
        torch.autograd.grad((rows * weight).sum(), list(feats.values())),
        torch.autograd.grad((expected * weight).sum(), list(feats.values())),
    )


def test_constant_jigsaw_head_is_at_chance():
    method = build()
    nn.init.zeros_(method.jigsaw_head.output.weight)
    nn.init.zeros_(method.jigsaw_head.output.bias)
    feats = {m: torch.randn(2, d) for m, d in TWO.items()}
    assert method.jigsaw(feats).item() == pytest.approx(4.852030, abs=1e-5)


def test_mask_ratio():
    feats = {m: torch.randn(3, d) for m, d in TWO.items()}
    method = build(mask_ratio=0.0).eval()
    whole = super(MOOSAMethod, method).translation(feats, feats)
    assert torch.equal(method.translation(feats, feats), whole)
    method.mask_ratio = 1.0
    seen = []
    method.translators['video_to_audio'].register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    method.translation(feats, feats)
    assert seen[0].abs().sum() == 0


def test_one_mask_per_modality_and_step():
    method = build({'video': 8, 'audio': 4, 'flow': 8})
    assert method.permutations.shape == (128, 6)  # two parts of each
    seen = []
    for j in ('audio', 'flow'):
        method.translators[f'video_to_{j}'].register_forward_pre_hook(
            lambda module, args: seen.append(args[0])
        )
    feats = {m: torch.ones(50, d) for m, d in method.in_channels.items()}
    method.translation(feats, feats)
    assert torch.equal(*seen)
    assert 1 - seen[0].mean().item() == pytest.approx(0.3, abs=0.1)


def test_permutations_are_in_the_checkpoint():
    first, second = build(), build(permutation_seed=7)
    assert not torch.equal(first.permutations, second.permutations)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.permutations, second.permutations)


def test_terms_and_weights():
    feats = {m: torch.randn(4, d) for m, d in TWO.items()}
    unimodal = {m: torch.randn(4, 2) for m in TWO}
    batch = hand_batch(feats, [0, 1, 0, 1], unimodal_logits=unimodal)
    terms = build().losses(batch)
    assert set(terms[Task.CLASSIFICATION]) == {
        'weighted',
        'entropy',
        'contrast',
    }
    assert set(terms[Task.DOMAIN]) == {'jigsaw', 'translation', 'distance'}
    bare = build(
        jigsaw_weight=0,
        entropy_weight=0,
        contrast_weight=0,
        distance_weight=0,
        translation_weight=0,
    )
    assert bare.losses(batch).keys() == {Task.CLASSIFICATION}


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(reduction='sum'), "reduction of MOOSA.*'sample'"),
        (dict(mask_ratio=1.5), 'mask_ratio of MOOSA.*1.5'),
        (dict(num_parts=3), 'num_parts of MOOSA'),
        (dict(num_parts=0), 'num_parts of MOOSA'),
        (dict(num_permutations=0), 'num_permutations of MOOSA.* > 0'),
        (dict(entropy_temperature=0), 'entropy_temperature of MOOSA'),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)
