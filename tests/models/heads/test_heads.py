from __future__ import annotations

import pytest
import torch

from mmgmp.models.heads import DomainDiscriminatorHead, MLPClassifierHead


def test_fewer_than_two_domains_name_the_remedy():
    with pytest.raises(ValueError, match='domain_head=None'):
        DomainDiscriminatorHead(num_domains=1, in_channels=4)


def test_labels_outside_the_range_name_the_key():
    head = MLPClassifierHead(3, 4)
    with pytest.raises(ValueError, match='gt_label.*0..2.*num_classes'):
        head.check_labels(torch.tensor([0, 3]))
    discriminator = DomainDiscriminatorHead(2, 4)
    with pytest.raises(ValueError, match='domain_head.num_domains'):
        discriminator.check_labels(torch.tensor([2]))
    discriminator.check_labels(torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(num_classes=1), 'num_classes must be >= 2'),
        (dict(num_classes=3, dropout=1.0), 'dropout'),
        (dict(num_classes=3, hidden_channels=-1), 'hidden_channels'),
    ],
)
def test_bad_classifiers(kwargs, match):
    with pytest.raises(ValueError, match=match):
        MLPClassifierHead(in_channels=4, **kwargs)


@pytest.mark.parametrize(
    'kwargs', [dict(domain_weight=-1.0), dict(loss_weight=0.0)]
)
def test_bad_discriminators(kwargs):
    with pytest.raises(ValueError, match='model.domain_head'):
        DomainDiscriminatorHead(2, 4, **kwargs)


def test_lambda_zero_still_trains_the_discriminator():
    head = DomainDiscriminatorHead(2, 4, domain_weight=0.0)
    feature = torch.randn(3, 4, requires_grad=True)
    head.loss(head(feature), torch.tensor([0, 1, 1])).backward()
    assert not feature.grad.any()
    assert head.output.weight.grad.any()


def test_scores_are_float32_under_autocast():
    head = MLPClassifierHead(3, 4)
    with torch.autocast('cpu', torch.bfloat16):
        assert head(torch.ones(2, 4)).dtype == torch.float32
