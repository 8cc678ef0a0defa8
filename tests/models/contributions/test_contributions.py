from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.models.contributions import (
    JointHead,
    MaskedContribution,
    ShapleyContribution,
    evaluating,
)
from mmgmp.models.fusion.activation_fusion import ActivationFusion
from mmgmp.models.fusion.concat_fusion import ConcatFusion
from mmgmp.models.fusion.film_fusion import FiLMFusion
from mmgmp.models.fusion.sum_fusion import SumFusion
from mmgmp.models.heads import MLPClassifierHead
from tests.models.fusion.test_fusion import set_linear

WIDTHS = {'video': 6, 'audio': 4, 'flow': 5}


def joint(fusion, head):
    return JointHead(lambda f: head(fusion(f)), head.output.bias)


def random_features(n=3, modalities=tuple(WIDTHS)):
    torch.manual_seed(0)
    return {m: torch.randn(n, WIDTHS[m]) for m in modalities}


@pytest.mark.parametrize('kind', [ConcatFusion, SumFusion])
def test_linear_head_gives_the_papers_summand(kind):
    """masked, Shapley and W^m phi^m coincide (Eq. 6)."""
    fusion, features = kind(WIDTHS), random_features()
    head = MLPClassifierHead(4, fusion.out_channels, 0, dropout=0.0).eval()
    masked = MaskedContribution()(joint(fusion, head), features)
    shapley = ShapleyContribution()(joint(fusion, head), features)
    weight, start = head.output.weight, 0
    for m, feature in features.items():
        if kind is ConcatFusion:
            block = weight[:, start : start + WIDTHS[m]]
            start += WIDTHS[m]
        else:
            block = weight @ fusion.projections[m].weight
        expected = feature @ block.T
        torch.testing.assert_close(masked[m], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(shapley[m], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('modalities', [('video',), tuple(WIDTHS)])
def test_shapley_shares_add_up(modalities):
    widths = {m: WIDTHS[m] for m in modalities}
    fusion = ConcatFusion(widths)
    head = MLPClassifierHead(4, fusion.out_channels, 16).eval()
    features = random_features(modalities=modalities)
    nothing = {m: torch.zeros_like(x) for m, x in features.items()}
    full = head(fusion(features))
    empty = head(fusion(nothing))
    shares = ShapleyContribution()(joint(fusion, head), features)
    torch.testing.assert_close(sum(shares.values()), full - empty)
    whole = ShapleyContribution(baseline=False)(joint(fusion, head), features)
    torch.testing.assert_close(sum(whole.values()), full)


def unit_head(fusion):
    """Logits (z, -z) of a scalar z."""
    head = MLPClassifierHead(2, 1, 0, dropout=0.0).eval()
    set_linear(head.output, [1.0, -1.0], [0.0, 0.0])
    return joint(fusion, head)


def test_activation_shares_by_hand():
    fusion = ActivationFusion({'video': 1, 'audio': 1}, 1)
    for layer in fusion.projections.values():
        set_linear(layer, [1.0], [0.0])
    features = {'video': torch.tensor([[2.0]]), 'audio': torch.tensor([[1.0]])}
    shares = ShapleyContribution()(unit_head(fusion), features)
    assert shares['video'][0, 0].item() == pytest.approx(1.231059, abs=1e-6)
    assert shares['audio'][0, 0].item() == pytest.approx(0.231059, abs=1e-6)


def test_film_shares_by_hand():
    fusion = FiLMFusion({'video': 1, 'audio': 1}, 1)
    set_linear(fusion.generator, [2.0, -1.5], [1.0, 0.5])
    set_linear(fusion.projection, [1.0], [0.0])
    features = {'video': torch.tensor([[2.0]]), 'audio': torch.tensor([[1.0]])}
    shares = ShapleyContribution()(unit_head(fusion), features)
    assert shares['video'][0, 0].item() == pytest.approx(4)
    assert shares['audio'][0, 0].item() == pytest.approx(0.5)


def test_sum_shares_by_hand():
    fusion = SumFusion({'video': 1, 'audio': 1}, 1)
    set_linear(fusion.projections['video'], [2.0], [1.0])
    set_linear(fusion.projections['audio'], [-0.5], [1.0])
    features = {'video': torch.ones(1, 1), 'audio': torch.ones(1, 1)}
    shares = MaskedContribution()(unit_head(fusion), features)
    assert shares['video'][0, 0].item() == pytest.approx(2)
    assert shares['audio'][0, 0].item() == pytest.approx(-0.5)


@pytest.mark.parametrize('rule', [MaskedContribution, ShapleyContribution])
@pytest.mark.parametrize('kind', [ConcatFusion, FiLMFusion, ActivationFusion])
def test_an_absent_modality_is_at_chance(rule, kind):
    widths = {m: WIDTHS[m] for m in ('video', 'audio')}
    fusion = kind(widths)
    head = MLPClassifierHead(4, fusion.out_channels).eval()
    features = random_features(modalities=tuple(widths))
    features['audio'].zero_()
    share = rule()(joint(fusion, head), features)['audio']
    torch.testing.assert_close(
        share.softmax(1), torch.full((3, 4), 0.25), atol=1e-6, rtol=0
    )


def test_bias_options():
    fusion = ConcatFusion(WIDTHS)
    head = MLPClassifierHead(4, fusion.out_channels, 0, dropout=0.0).eval()
    features = random_features()
    shares = {
        bias: MaskedContribution(bias)(joint(fusion, head), features)['flow']
        for bias in ('none', 'split', 'keep')
    }
    bias = head.output.bias
    torch.testing.assert_close(shares['split'], shares['none'] + bias / 3)
    torch.testing.assert_close(shares['keep'], shares['none'] + bias)
    with pytest.raises(ValueError, match='model.contribution.bias'):
        MaskedContribution('half')


def test_evaluating_restores_each_mode_even_after_an_error():
    block = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    block[1].eval()
    modes = []

    def fail():
        with evaluating(block):
            modes.append(block[0].training)
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        fail()
    assert modes == [False]
    assert block.training
    assert block[0].training
    assert not block[1].training
