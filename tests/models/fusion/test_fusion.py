from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmgmp.models.fusion.activation_fusion import ActivationFusion
from mmgmp.models.fusion.concat_fusion import ConcatFusion
from mmgmp.models.fusion.film_fusion import FiLMFusion
from mmgmp.models.fusion.sum_fusion import SumFusion
from mmgmp.models.heads import DomainDiscriminatorHead, MLPClassifierHead

PAPER = {'video': 2304, 'audio': 512}
SMALL = {'video': 6, 'audio': 4}
ALL = [ConcatFusion, SumFusion, FiLMFusion, ActivationFusion]


def count(module):
    return sum(p.numel() for p in module.parameters())


def set_linear(layer, weight, bias):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight).view_as(layer.weight))
        layer.bias.copy_(torch.tensor(bias).view_as(layer.bias))


@pytest.mark.parametrize(
    ('kind', 'width', 'parameters', 'classifier8', 'discriminator2'),
    [
        (ConcatFusion, 2816, 0, 723_208, 721_666),
        (SumFusion, 512, 1_180_160 + 262_656, 133_384, 131_842),
        (FiLMFusion, 512, 525_312 + 1_180_160, 133_384, 131_842),
        (ActivationFusion, 512, 1_180_160 + 262_656, 133_384, 131_842),
    ],
)
def test_sizes_of_the_paper(
    kind, width, parameters, classifier8, discriminator2
):
    fusion = kind(PAPER)
    assert fusion.out_channels == width
    assert count(fusion) == parameters
    assert count(MLPClassifierHead(8, width)) == classifier8
    assert count(DomainDiscriminatorHead(2, width)) == discriminator2


@pytest.mark.parametrize('kind', ALL)
def test_modality_order_is_the_configured_one(kind):
    fusion = kind(SMALL)
    features = {m: torch.randn(3, d) for m, d in SMALL.items()}
    turned = dict(reversed(features.items()))
    assert torch.equal(fusion(features), fusion(turned))


@pytest.mark.parametrize(
    ('h_a', 'h_v', 'expected'), [(0.0, 2.0, 1.0), (1.0, 2.0, 1.462117)]
)
def test_activation_by_hand(h_a, h_v, expected):
    fusion = ActivationFusion({'video': 1, 'audio': 1}, 1)
    for layer in fusion.projections.values():
        set_linear(layer, [1.0], [0.0])
    fused = fusion(
        {'video': torch.tensor([[h_v]]), 'audio': torch.tensor([[h_a]])}
    )
    assert fused.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(('residual', 'expected'), [(False, 5), (True, 7)])
def test_film_by_hand(residual, expected):
    fusion = FiLMFusion({'video': 1, 'audio': 1}, 1, residual_gamma=residual)
    set_linear(fusion.generator, [3.0, -1.0], [0.0, 0.0])
    set_linear(fusion.projection, [1.0], [0.0])
    fused = fusion(
        {'video': torch.tensor([[2.0]]), 'audio': torch.tensor([[1.0]])}
    )
    assert fused.item() == pytest.approx(expected)


def test_sum_by_hand():
    fusion = SumFusion({'video': 1, 'audio': 1}, 1)
    set_linear(fusion.projections['video'], [2.0], [1.0])
    set_linear(fusion.projections['audio'], [-0.5], [1.0])
    fused = fusion({'video': torch.ones(1, 1), 'audio': torch.ones(1, 1)})
    assert fused.item() == pytest.approx(3.5)


@pytest.mark.parametrize('kind', ALL)
def test_reversal_flips_everything_before_the_discriminator(kind):
    torch.manual_seed(0)
    fusion = kind(SMALL)
    head = DomainDiscriminatorHead(2, fusion.out_channels, domain_weight=0.3)
    features = {
        m: torch.randn(5, d, requires_grad=True) for m, d in SMALL.items()
    }
    labels = torch.tensor([0, 1, 0, 1, 1])
    before = [*features.values(), *fusion.parameters()]
    after = list(head.parameters())
    reversed_loss = head.loss(head(fusion(features)), labels)
    reversed_ = torch.autograd.grad(reversed_loss, before + after)
    plain_loss = F.cross_entropy(
        nn.Sequential(head.hidden, head.output)(fusion(features)), labels
    )
    plain = torch.autograd.grad(plain_loss, before + after)
    torch.testing.assert_close(reversed_loss, plain_loss)
    for r, p in zip(reversed_[: len(before)], plain, strict=False):
        torch.testing.assert_close(r, -0.3 * p)
    for r, p in zip(
        reversed_[len(before) :], plain[len(before) :], strict=True
    ):
        torch.testing.assert_close(r, p)


@pytest.mark.parametrize('kind', [FiLMFusion, ActivationFusion])
@pytest.mark.parametrize('names', [('video',), ('video', 'audio', 'flow')])
def test_two_modality_fusions_say_so(kind, names):
    with pytest.raises(ValueError, match='exactly two.*ConcatFusion'):
        kind(dict.fromkeys(names, 3))


def test_unknown_modalities_are_listed():
    with pytest.raises(ValueError, match="'video', 'audio'.*'sound'"):
        FiLMFusion(SMALL, condition='sound')
    with pytest.raises(ValueError, match="'video', 'audio'.*'sound'"):
        ActivationFusion(SMALL, gate='sound')


@pytest.mark.parametrize('kind', ALL)
def test_modality_parameters_cover_the_fusion(kind):
    fusion = kind(SMALL)
    owned = [p for ps in fusion.modality_parameters().values() for p in ps]
    assert {id(p) for p in owned} == {id(p) for p in fusion.parameters()}
