"""Variant U against its arithmetic, written out a second time here."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from mmgmp.engine.optim.gmp_optim_wrapper import GMPOptimWrapper
from mmgmp.models.layers import reverse_gradient
from mmgmp.models.methods.gmp_variant_u import GMPVariantUMethod
from mmgmp.registry import MODELS
from mmgmp.structures import Task, get_task_losses
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

MU_C, MU_D, LAMBDA = 3.0, 0.5, 0.3


def build(num_domains=2, modalities=('audio', 'flow'), **kwargs):
    config = toy_recognizer(
        modalities,
        num_domains=None,
        unimodal_heads=dict(
            type='MLPClassifierHead',
            num_classes=3,
            hidden_channels=0,
            dropout=0.0,
        ),
        unimodal_heads_in_modality=True,
        contribution='unimodal',
        methods=[
            dict(
                type='GMPVariantUMethod',
                num_domains=num_domains,
                hidden_channels=8,
                discriminator_channels=6,
                **kwargs,
            )
        ],
    )
    config['cls_head']['dropout'] = 0.0
    for encoder in config['encoders'].values():
        encoder['frozen_stages'] = 3
    model = MODELS.build(config)
    model.init_weights()
    return model.double().train()


def batch(modalities=('audio', 'flow'), num_domains=2):
    inputs, samples = toy_batch(6, modalities, num_domains=num_domains)
    return {m: x.double() for m, x in inputs.items()}, samples


def wrapper_for(model, lr=1.0, **kwargs):
    kwargs.setdefault('modulation', dict(type='VariantUModulation'))
    kwargs.setdefault('projection', dict(type='VariantUProjection'))
    parameters = list(model.parameters())
    return GMPOptimWrapper(torch.optim.SGD(parameters, lr=lr), **kwargs)


def step(model, data, **kwargs):
    """Return the gradient of every parameter, by a step of plain SGD."""
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    wrapper = wrapper_for(model, **kwargs)
    total, _ = model.parse_losses(model(*data, mode='loss'))
    wrapper.update_params(total)
    return {n: before[n] - p.detach() for n, p in model.named_parameters()}


def expected_step(model, data, alpha_k=0.5, alpha_p=0.5):
    """Gradients as the released code writes them, and what it decided."""
    inputs, samples = data
    labels = torch.cat([s.gt_label for s in samples])
    domains = torch.cat([s.domain_label for s in samples])
    method = model.methods[0]
    names = list(model.encoders)
    features = {m: e(inputs[m]) for m, e in model.encoders.items()}
    logits = {m: model.unimodal_heads[m](x) for m, x in features.items()}
    domain_logits = {
        m: method.discriminator(
            method.projections[m](reverse_gradient(x, LAMBDA))
        )
        for m, x in features.items()
    }

    def mean_confidence(values, truth):
        rows = torch.arange(len(truth))
        return values.detach().softmax(1)[rows, truth].mean()

    q = {m: mean_confidence(logits[m], labels) for m in names}
    c = {m: mean_confidence(domain_logits[m], domains) for m in names}
    decided = {}
    gradients = {}
    for m in names:
        others = [j for j in names if j != m]
        q_others = sum(q[j] for j in others) / len(others)
        c_others = sum(c[j] for j in others) / len(others)
        rho = q[m] / (q_others + 1e-6)
        sigma = c_others / (c[m] + 1e-6)
        k = 1 - torch.tanh(alpha_k * rho) if rho > 1 else 1.0
        p = 1 - torch.tanh(alpha_p * sigma) if sigma > 1 else 1.0
        parameters = {
            f'{part}.{m}.{n}': parameter
            for part in ('encoders', 'unimodal_heads')
            for n, parameter in getattr(model, part)[m].named_parameters()
            if parameter.requires_grad
        }
        g_c = torch.autograd.grad(
            k * MU_C * F.cross_entropy(logits[m], labels),
            list(parameters.values()),
            retain_graph=True,
        )
        g_d = torch.autograd.grad(
            p * MU_D * F.cross_entropy(domain_logits[m], domains),
            list(parameters.values()),
            retain_graph=True,
            allow_unused=True,
        )
        both = [(a, b) for a, b in zip(g_c, g_d, strict=True) if b is not None]
        dot = sum((a * b).sum() for a, b in both)
        is_conflict = bool(dot < 0)
        on_class = bool(rho >= sigma)
        norm_c = sum((a * a).sum() for a in g_c) + 1e-12
        norm_d = sum((b * b).sum() for _, b in both) + 1e-12
        for name, a, b in zip(parameters, g_c, g_d, strict=True):
            if b is None:
                gradients[name] = a
            elif not is_conflict:
                gradients[name] = a + b
            elif on_class:
                gradients[name] = a - dot / norm_d * b + b
            else:
                gradients[name] = a + b - dot / norm_c * a
        decided[m] = (is_conflict, on_class, k, p)
    fused = F.cross_entropy(model.cls_head(model.fusion(features)), labels)
    shared = sum(
        F.cross_entropy(domain_logits[m], domains) for m in names
    ) / len(names)
    everything = dict(model.named_parameters())
    for loss, prefixes in (
        (fused, ('encoders', 'cls_head')),
        (MU_D * shared, ('methods',)),
    ):
        wanted = {
            n: p
            for n, p in everything.items()
            if n.startswith(prefixes) and p.requires_grad
        }
        found = torch.autograd.grad(
            loss, list(wanted.values()), retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(wanted, found, strict=True):
            if gradient is not None:
                gradients[name] = gradients.get(name, 0) + gradient
    return gradients, decided


@pytest.mark.parametrize(
    ('modalities', 'seed'),
    [(('video', 'audio'), 6), (('video', 'audio', 'flow'), 5)],
)
def test_a_step_is_that_of_the_released_code(modalities, seed):
    torch.manual_seed(seed)
    model = build(modalities=modalities, dropout=0.0)
    data = batch(modalities)
    expected, decided = expected_step(copy.deepcopy(model), data)
    # Seeds with conflicts of both kinds, whatever the number of modalities.
    assert {(True, True), (True, False)} <= {d[:2] for d in decided.values()}
    assert any(d[2:] != (1.0, 1.0) for d in decided.values())
    for name, gradient in step(model, data).items():
        wanted = expected.get(name, torch.zeros_like(gradient))
        torch.testing.assert_close(
            gradient, torch.as_tensor(wanted), rtol=1e-6, atol=1e-10
        )


def test_tasks_of_the_terms():
    model = build()
    losses = model(*batch(), mode='loss')
    assert {n for n in losses if n.startswith('loss_')} == {
        'loss_extra_fused',
        'loss_cls_unimodal',
        'loss_domain_shared',
    }
    total, _ = model.parse_losses(losses)
    tasks = get_task_losses(total)
    assert set(tasks.losses) == {Task.EXTRA, Task.CLASSIFICATION, Task.DOMAIN}
    assert not tasks.features
    for m, parameters in tasks.encoder_parameters.items():
        own = {id(p) for p in model.unimodal_heads[m].parameters()}
        assert own <= {id(p) for p in parameters}


def test_confidences_are_those_of_the_pass_itself():
    """Dropout and batch statistics of the projections included."""
    model = build(dropout=0.5)
    torch.manual_seed(5)
    losses = model(*batch(), mode='loss')
    total, _ = model.parse_losses(losses)
    confidence = get_task_losses(total).confidences[Task.DOMAIN]
    mean = sum(-c.log().mean() for c in confidence.values()) / len(confidence)
    assert losses['loss_domain_shared'].item() == pytest.approx(
        MU_D * mean.item()
    )
    norm = model.methods[0].discriminator[1]
    assert norm.num_batches_tracked == 2  # once per modality


@pytest.mark.parametrize('train', [True, False])
def test_train_discriminator(train):
    model = build(train_discriminator=train)
    before = copy.deepcopy(model.methods[0]).requires_grad_(True)
    found = step(model, batch())
    parts = [n for n in found if n.startswith('methods.0.')]
    assert parts
    for name in parts:
        assert bool(found[name].any()) is train or name.endswith('0.bias')
    for (name, a), b in zip(
        before.named_parameters(),
        model.methods[0].parameters(),
        strict=True,
    ):
        assert torch.equal(a, b) is not bool(found[f'methods.0.{name}'].any())


def test_one_source_has_no_domain_task():
    model = build(num_domains=1)
    data = batch(num_domains=1)
    losses = model(*data, mode='loss')
    assert not any('domain' in n for n in losses if n.startswith('loss_'))
    assert not list(model.methods[0].parameters())
    found = step(model, data)
    assert all(torch.isfinite(g).all() for g in found.values())
    assert found['unimodal_heads.audio.output.weight'].any()


def test_weights_of_the_terms():
    data = batch()
    model = build(dropout=0.0)
    other = build(dropout=0.0, unimodal_weight=1.0, domain_loss_weight=1.0)
    other.load_state_dict(model.state_dict())
    first, second = model(*data, mode='loss'), other(*data, mode='loss')
    for name, factor in (
        ('loss_cls_unimodal', 3),
        ('loss_domain_shared', 0.5),
    ):
        assert first[name].item() == pytest.approx(
            factor * second[name].item()
        )
    assert torch.equal(first['loss_extra_fused'], second['loss_extra_fused'])


def test_the_feature_level_says_what_to_do():
    model = build()
    wrapper = wrapper_for(model, level='feature')
    total, _ = model.parse_losses(model(*batch(), mode='loss'))
    with pytest.raises(ValueError, match="level='parameter'"):
        wrapper.update_params(total)


def test_the_projection_names_its_modulation():
    model = build()
    wrapper = wrapper_for(model, modulation=dict(type='DecoupledModulation'))
    total, _ = model.parse_losses(model(*batch(), mode='loss'))
    with pytest.raises(ValueError, match='VariantUModulation'):
        wrapper.update_params(total)


def test_heads_are_needed():
    config = toy_recognizer(num_domains=None, unimodal_heads_in_modality=True)
    with pytest.raises(ValueError, match='unimodal_heads_in_modality'):
        MODELS.build(config)


@pytest.mark.parametrize(
    'kwargs', [dict(num_domains=0), dict(num_domains=2, domain_weight=-1)]
)
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match='num_domains of GMPVariantUMethod'):
        GMPVariantUMethod({'video': 4}, 3, **kwargs)


def test_unknown_domains_are_refused():
    model = build()
    with pytest.raises(ValueError, match='domain_label must lie in 0..1'):
        model(*batch(num_domains=3), mode='loss')
