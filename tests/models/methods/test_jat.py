from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from mmgmp.models.layers import reverse_gradient
from mmgmp.models.methods.jat import JATMethod
from mmgmp.structures import Task, get_task_losses
from mmgmp.testing.toy_configs import toy_batch

from .toy_methods import batch_for, build_model, hand_batch

TWO = {'video': 4, 'audio': 2}


def build(in_channels=TWO, num_domains=2, **kwargs):
    return JATMethod(
        in_channels,
        2,
        num_domains=num_domains,
        hidden_channels=8,
        local_channels=8,
        **kwargs,
    )


def jat_batch(feats=None, domain_labels=(0, 1, 0, 1), **kwargs):
    feats = feats or {m: torch.randn(4, d) for m, d in TWO.items()}
    kwargs.setdefault('unimodal_logits', {m: torch.zeros(4, 2) for m in feats})
    return hand_batch(feats, [0, 1, 0, 1], list(domain_labels), **kwargs)


def test_two_reversals_add():
    x = torch.ones(1, requires_grad=True)
    (3 * reverse_gradient(x, 0.1) + 3 * reverse_gradient(x, 0.3)).backward()
    assert x.grad.item() == pytest.approx(-1.2)


def test_weights_and_unimodal_loss():
    method = build()
    p = {'video': [0.5, 0.5], 'audio': [0.9, 0.1]}
    logits = {m: torch.tensor([v]).log() for m, v in p.items()}
    weights = method.modality_weights(logits, jat_batch())
    assert weights.tolist() == pytest.approx([0.590991, 0.409009], abs=1e-6)
    # Cross-entropies 1 and 2 at label 0.
    unimodal = {
        m: torch.tensor([[0.0, math.log(math.exp(ce) - 1)]])
        for m, ce in (('video', 1.0), ('audio', 2.0))
    }
    batch = hand_batch(
        {m: torch.zeros(1, d) for m, d in TWO.items()},
        [0],
        unimodal_logits=unimodal,
    )
    loss = method.unimodal_loss(batch, weights)
    assert loss.item() == pytest.approx(1.409009, abs=1e-6)


def test_total(monkeypatch):
    method = build()
    # Cross-entropy 0.7 of the first of two domains.
    logits = torch.tensor([[0.0, math.log(math.exp(0.7) - 1)]] * 4)
    fixed = dict(
        domain_logits=lambda f: dict.fromkeys(f, logits),
        global_logits=lambda f: logits,
        modality_loss=lambda f: torch.tensor(0.7),
        unimodal_loss=lambda b, w: torch.tensor(1.409009),
    )
    for name, function in fixed.items():
        monkeypatch.setattr(method, name, function)
    terms = method.losses(jat_batch(domain_labels=[0] * 4))
    total = 1 + sum(v for named in terms.values() for v in named.values())
    assert total.item() == pytest.approx(5.997027, abs=1e-5)


def test_terms_carry_their_weights():
    method = build().eval()
    batch = jat_batch()
    bare = build(
        global_weight=1, local_weight=1, modality_weight=1, unimodal_weight=1
    ).eval()
    bare.load_state_dict(method.state_dict())
    weighted, plain = method.losses(batch), bare.losses(batch)
    for task, name, factor in (
        (Task.DOMAIN, 'global', 0.5),
        (Task.DOMAIN, 'local', 0.5),
        (Task.DOMAIN, 'modality', 0.1),
        (Task.CLASSIFICATION, 'unimodal', 3),
    ):
        assert weighted[task][name].item() == pytest.approx(
            factor * plain[task][name].item()
        )


@pytest.mark.parametrize('widths', [TWO, {**TWO, 'flow': 6}])
@pytest.mark.parametrize('domains', [2, 3])
def test_zero_heads_are_at_chance(domains, widths):
    method = build(widths, num_domains=domains)
    batch = jat_batch({m: torch.randn(4, d) for m, d in widths.items()})
    count = len(widths)
    for layer in (
        method.local_discriminator[-1],
        method.modality_discriminator,
        method.global_discriminator.output,
    ):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    terms = method.losses(batch)[Task.DOMAIN]
    chance = math.log(domains)
    assert terms['local'].item() == pytest.approx(0.5 * chance)
    assert terms['global'].item() == pytest.approx(0.5 * chance)
    assert terms['modality'].item() == pytest.approx(0.1 * math.log(count))
    logits = method.domain_logits(batch.features)
    weights = method.modality_weights(logits, batch)
    assert weights.tolist() == pytest.approx([1 / count] * count)


def test_encoders_climb_what_the_discriminator_descends():
    method = build(dropout=0.0).eval()
    inputs = torch.randn(8, 4)
    encoder = nn.Linear(4, 4)
    domains = torch.tensor([0, 1] * 4)

    def local(enc, met):
        return nn.functional.cross_entropy(
            met.domain_logits({'video': enc(inputs)})['video'], domains
        )

    before = local(encoder, method)
    before.backward()
    moved_encoder, moved_method = copy.deepcopy(encoder), copy.deepcopy(method)
    with torch.no_grad():
        for new, old in zip(
            moved_encoder.parameters(), encoder.parameters(), strict=True
        ):
            new -= 1e-2 * old.grad
        for new, old in zip(
            moved_method.parameters(), method.parameters(), strict=True
        ):
            if old.grad is not None:
                new -= 1e-2 * old.grad
    assert local(moved_encoder, method) > before
    assert local(encoder, moved_method) < before


@pytest.mark.parametrize('detach', [True, False])
def test_detached_weights_keep_the_discriminator_out(detach):
    method = build(
        detach_weights=detach,
        local_weight=0.0,
        global_weight=0.0,
        modality_weight=0.0,
    )
    unimodal = {'video': torch.zeros(4, 2), 'audio': torch.randn(4, 2)}
    terms = method.losses(jat_batch(unimodal_logits=unimodal))
    discriminators = [*method.local_discriminator.parameters()]
    gradients = torch.autograd.grad(
        terms[Task.CLASSIFICATION]['unimodal']
        + 0 * terms[Task.DOMAIN]['local'],
        discriminators,
    )
    is_zero = all((g == 0).all() for g in gradients)
    assert is_zero is detach


def test_one_source_has_no_domain_terms():
    method = build(num_domains=1)
    batch = jat_batch(domain_labels=[0] * 4)
    terms = method.losses(batch)
    assert set(terms[Task.DOMAIN]) == {'modality'}
    assert method.modality_weights({}, batch).tolist() == [0.5, 0.5]
    assert not method.has_domain_logits
    by_entropy = build(num_domains=1, single_source_weights='class_entropy')
    unimodal = {
        'video': torch.zeros(4, 2),
        'audio': torch.tensor([[9.0, 0.0]] * 4),
    }
    weights = by_entropy.modality_weights(
        {}, jat_batch(unimodal_logits=unimodal)
    )
    assert weights[0] > weights[1]


def test_modality_dropout_replaces_the_fused_loss():
    method = build(modality_dropout=0.5)
    assert method.replaces_cls_loss
    batch = jat_batch(
        classify=lambda f: torch.cat(
            [x.sum(1, keepdim=True) for x in f.values()], 1
        )
    )
    assert set(method.losses(batch)[Task.CLASSIFICATION]) == {
        'unimodal',
        'fused',
    }


def test_the_model_has_one_discriminator_and_reads_confidences_off_it():
    model = build_model(
        'jat', contribution=dict(semantic='masked', domain='unimodal')
    )
    assert model.domain_head is None
    assert [
        name
        for name, _ in model.named_modules()
        if name.endswith('local_discriminator')
    ] == ['methods.0.local_discriminator']


def test_confidences_are_those_of_the_local_discriminator():
    model = build_model('jat')
    before = copy.deepcopy(model.methods[0].state_dict())
    inputs, samples = batch_for('jat')
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    confidences = get_task_losses(total).confidences[Task.DOMAIN]
    # Batch norm of the discriminator learned once per modality, not twice.
    name = 'local_discriminator.1.num_batches_tracked'
    assert model.methods[0].state_dict()[name] == before[name] + 2
    method = model.methods[0].eval()
    features = model.extract_feat(inputs)
    domains = torch.cat([s.domain_label for s in samples])
    for modality, logits in method.domain_logits(features).items():
        torch.testing.assert_close(
            confidences[modality],
            logits.softmax(1).gather(1, domains[:, None]).squeeze(1),
        )


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(modality_dropout=1.0), 'modality_dropout of JATMethod.*1.0'),
        (dict(entropy_temperature=0), 'entropy_temperature of JATMethod'),
        (dict(num_domains=0), 'num_domains of JATMethod must be >= 1'),
        (dict(single_source_weights='even'), "'uniform', 'class_entropy'"),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)


def test_the_later_version_has_a_wider_global_discriminator():
    method = build(global_channels=32)
    assert method.global_discriminator.hidden[0].out_features == 32
    assert method.domain_projectors['video'][0].out_features == 8


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (
            dict(
                domain_head=dict(type='DomainDiscriminatorHead', num_domains=2)
            ),
            'JATMethod brings its own.*model.domain_head=None',
        ),
        (
            dict(contribution=dict(semantic='masked', domain='masked')),
            "domain='unimodal'",
        ),
        (dict(unimodal_heads=None), 'JATMethod needs model.unimodal_heads'),
    ],
)
def test_the_model_says_what_does_not_fit(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build_model('jat', **kwargs)


def test_a_domain_outside_the_sources_names_the_key():
    inputs, samples = toy_batch(num_domains=3)
    with pytest.raises(ValueError, match='num_domains of JATMethod'):
        build_model('jat')(inputs, samples, mode='loss')
