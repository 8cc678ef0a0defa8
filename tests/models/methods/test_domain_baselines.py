"""Plain domain generalisation, on features and logits of two modalities."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from mmgmp.engine.optim import AmpGMPOptimWrapper, GMPOptimWrapper
from mmgmp.models.methods.coral import CORALMethod
from mmgmp.models.methods.domain_statistics import membership
from mmgmp.models.methods.fishr import FishrMethod
from mmgmp.models.methods.group_dro import GroupDROMethod
from mmgmp.models.methods.irm import IRMMethod
from mmgmp.models.methods.miro import MIROMethod
from mmgmp.models.methods.mixup import MixupMethod
from mmgmp.models.methods.mmd import MMDMethod
from mmgmp.models.methods.vrex import VRExMethod
from mmgmp.structures import Task, get_task_losses

from .toy_methods import (
    BASELINES,
    HEADS,
    batch_for,
    build_model,
    hand_batch,
    method_config,
    small_encoders,
)

WIDTHS = {'video': 3, 'audio': 2}
TWO = ('video', 'flow')


def of(labels, domains=2):
    return membership(torch.tensor(labels), domains)


def single(kind, **kwargs):
    return kind(
        {'video': 2}, 2, num_domains=kwargs.pop('domains', 2), **kwargs
    )


@pytest.mark.parametrize(('shift', 'expected'), [(0.0, 8.0), (1.0, 9.0)])
def test_coral_by_hand(shift, expected):
    x = torch.tensor([[1.0, 1], [-1, -1]])
    y = torch.tensor([[1.0, -1], [-1, 1]]) + shift
    found = single(CORALMethod).distance(torch.cat([x, y]), of([0, 0, 1, 1]))
    assert found.item() == pytest.approx(expected)


def test_coral_without_the_covariances_is_the_definition():
    torch.manual_seed(0)
    x, labels = torch.randn(12, 5), torch.arange(12) % 3
    parts = [x[labels == s] for s in range(3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = sum(
        (parts[s].mean(0) - parts[t].mean(0)).square().mean()
        + (parts[s].T.cov() - parts[t].T.cov()).square().mean()
        for s, t in pairs
    ) / len(pairs)
    method = single(CORALMethod, domains=3)
    torch.testing.assert_close(
        method.distance(x, of(labels.tolist(), 3)), expected
    )


def test_mmd_by_hand():
    method = single(MMDMethod, gammas=[1.0])
    x = torch.tensor([[0.0], [0], [1], [1]])
    member = of([0, 0, 1, 1])
    assert method.distance(x, member).item() == pytest.approx(1.264241)
    same = torch.tensor([[0.0], [1], [0], [1]])
    assert method.distance(same, member).item() == pytest.approx(0, abs=1e-7)


def test_mmd_of_normalised_rows_ignores_their_length():
    method = single(MMDMethod, normalize=True)
    x, member = torch.randn(8, 4), of([0, 1] * 4)
    torch.testing.assert_close(
        method.distance(x, member), method.distance(5 * x, member)
    )


@pytest.mark.parametrize(
    ('labels', 'expected'), [([0, 0], 0.072329), ([0, 1], -0.196612)]
)
def test_irm_by_hand(labels, expected):
    logits = torch.tensor([[1.0, 0], [1, 0]])
    found = IRMMethod.penalty(logits, torch.tensor(labels), of([0, 0], 1))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_irm_is_the_product_of_slopes_by_autograd():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 3), torch.randint(3, (9,))
    domains = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 1])
    expected = []
    for domain in range(2):
        rows = (domains == domain).nonzero()[:, 0]
        slopes = []
        for half in (rows[::2], rows[1::2]):
            w = torch.ones((), requires_grad=True)
            loss = torch.nn.functional.cross_entropy(
                w * logits[half], labels[half]
            )
            slopes.append(torch.autograd.grad(loss, w)[0])
        expected.append(slopes[0] * slopes[1])
    found = IRMMethod.penalty(logits, labels, of(domains.tolist()))
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_vrex_by_hand():
    method = single(VRExMethod)
    found = method.mean_and_variance(
        torch.tensor([1.0, 3]), torch.tensor([True, True])
    )
    assert [x.item() for x in found] == [2.0, 1.0]


@pytest.mark.parametrize(
    ('eta', 'q', 'loss'),
    [(0.01, [0.495, 0.505], 2.01), (1.0, [0.119203, 0.880797], 2.761594)],
)
def test_group_dro_by_hand(eta, q, loss):
    method = single(GroupDROMethod, eta=eta)
    found = method.weighted(torch.tensor([1.0, 3]), torch.tensor([True] * 2))
    assert found.item() == pytest.approx(loss, abs=1e-5)
    assert method.q.tolist() == pytest.approx(q, abs=1e-5)


def test_group_dro_survives_what_is_not_finite():
    method = single(GroupDROMethod, eta=1.0)
    seen = torch.tensor([True, True])
    before = method.q.clone()
    method.weighted(torch.tensor([1.0, math.inf]), seen)
    assert torch.equal(method.q, before)
    method.weighted(torch.tensor([1.0, 1e6]), seen)
    assert method.q.tolist() == [0, 1]
    # A domain that is out comes back.
    for _ in range(3):
        method.weighted(torch.tensor([60.0, 0.0]), seen)
    assert method.q[0] > 0.9


def test_fishr_by_hand():
    spread = FishrMethod.spread(
        torch.tensor([[1.0, 0], [3, 0]]), torch.tensor([True, True])
    )
    assert spread.item() == pytest.approx(0.5)
    logits = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    hidden = torch.tensor([[1.0, 0], [0, 2]])
    variances, seen = FishrMethod.variances(
        logits, hidden, torch.tensor([0, 1]), of([0, 0], 1)
    )
    assert seen.tolist() == [True]
    # By class, then by column; the third is the bias.
    weights = variances.view(2, 3)[:, :2].flatten()
    assert weights.tolist() == pytest.approx([0.015625, 0.25] * 2)


def test_fishr_is_the_variance_of_gradients_by_autograd():
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    hidden, labels = torch.randn(6, 4), torch.randint(3, (6,))
    domains = [0, 1, 0, 1, 1, 1]
    rows = []
    for h, y in zip(hidden, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(layer(h[None]), y[None])
        weight, bias = torch.autograd.grad(loss, layer.parameters())
        rows.append(torch.cat([weight, bias[:, None]], 1).flatten())
    expected = [
        torch.stack([r for r, d in zip(rows, domains, strict=True) if d == s])
        for s in range(2)
    ]
    found, _ = FishrMethod.variances(
        layer(hidden), hidden, labels, of(domains)
    )
    torch.testing.assert_close(
        found, torch.stack([e.var(0, correction=0) for e in expected])
    )


def test_mixup_by_hand():
    found = MixupMethod.mixed_loss(
        torch.tensor([[0.6, 0.4]]).log(), torch.tensor([[0.3, 0.7]])
    )
    assert found.item() == pytest.approx(0.794651, abs=1e-6)


@pytest.mark.parametrize('shared', [True, False])
def test_mixup_draws_once_for_all_modalities(shared):
    seen = []
    x = torch.arange(8.0)[:, None]
    batch = hand_batch(
        {'video': x, 'audio': x},
        [0, 1] * 4,
        [0, 0, 0, 0, 1, 1, 1, 1],
        classify=lambda f: seen.append(f) or torch.zeros(8, 2),
    )
    torch.manual_seed(0)
    MixupMethod(WIDTHS, 2, shared=shared).losses(batch)
    assert torch.equal(seen[0]['video'], seen[0]['audio']) is shared


def test_miro_by_hand():
    method = MIROMethod({'video': 2}, 2, weight=1.0)
    own, untouched = torch.tensor([[1.0, 0], [3, 0]]), torch.zeros(2, 2)
    # Mean squares 5 and 0, v = 0.1: (50 + 0 + 2 log 0.1) / 2.
    expected = (50 + 2 * math.log(0.1)) / 2
    assert method.bound('video', own, untouched).item() == pytest.approx(
        expected, rel=1e-4
    )
    method.reduction = 'mean'
    assert method.bound('video', own, untouched).item() == pytest.approx(
        expected / 2, rel=1e-4
    )


def test_miro_refuses_encoders_that_start_at_random():
    method = MIROMethod({'flow': 2}, 2, encoders=small_encoders(('flow',)))
    with pytest.raises(ValueError, match='must be pretrained, got'):
        method.init_weights()


@pytest.mark.parametrize('kind', [CORALMethod, MMDMethod])
def test_a_domain_with_one_sample_is_left_out(kind):
    torch.manual_seed(0)
    method = single(kind, domains=3)
    x = torch.randn(5, 4)
    found = method.distance(x, of([0, 0, 1, 1, 2], 3))
    torch.testing.assert_close(
        found, method.distance(x[:4], of([0, 0, 1, 1], 3))
    )
    for labels in ([0] * 5, [0, 0, 0, 0, 1]):
        x = torch.randn(5, 4, requires_grad=True)
        none = method.distance(x, of(labels, 3))
        none.backward()
        assert none.item() == 0
        assert not x.grad.any()


@pytest.mark.parametrize('scale', [0.0, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize('kind', [CORALMethod, MMDMethod])
def test_hard_features_have_a_finite_gradient(kind, scale):
    x = (scale * torch.randn(6, 40)).requires_grad_()
    distance = single(kind).distance(x, of([0, 1] * 3))
    distance.backward()
    assert distance >= -1e-6
    assert x.grad.isfinite().all()


def test_places_are_summed():
    features = {m: torch.randn(6, d) for m, d in WIDTHS.items()}
    batch = hand_batch(features, [0] * 6, [0, 1] * 3)
    value = {}
    for on in (['fused'], ['modality'], ['fused', 'modality']):
        terms = CORALMethod(WIDTHS, 2, 2, on=on).losses(batch)
        value[tuple(on)] = terms[Task.DOMAIN]['distance']
    torch.testing.assert_close(
        value['fused',] + value['modality',], value['fused', 'modality']
    )


def trained(name, steps, state=None, modalities=TWO, domains=2, **kwargs):
    kwargs.setdefault('encoders', small_encoders(modalities))
    model = build_model(name, modalities, domains, **kwargs)
    model.init_weights()
    if state is not None:
        model.load_state_dict(copy.deepcopy(state))
    wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-2))
    for seed in steps:
        inputs, samples = batch_for(name, ('flow',), domains or 1, seed)
        data = dict.fromkeys(modalities, inputs['flow'])
        torch.manual_seed(seed)
        logged = model.train_step(
            dict(inputs=data, data_samples=samples), wrapper
        )
        assert all(torch.isfinite(v).all() for v in logged.values())
    return model.state_dict(), logged


@pytest.mark.parametrize('name', BASELINES)
def test_a_resumed_run_goes_on_where_it_was(name):
    half, _ = trained(name, range(2))
    whole, _ = trained(name, range(4))
    resumed, _ = trained(name, range(2, 4), half)
    assert all(torch.equal(value, resumed[k]) for k, value in whole.items())


@pytest.mark.parametrize(
    ('modalities', 'domains'),
    [(('flow',), 2), (('video', 'audio', 'flow'), 3), (TWO, None)],
    ids=['one-modality', 'three', 'single-source'],
)
@pytest.mark.parametrize('name', BASELINES)
def test_steps_are_finite(name, modalities, domains):
    state, _ = trained(name, range(2), None, modalities, domains)
    assert all(v.isfinite().all() for v in state.values())


@pytest.mark.parametrize('name', ['coral', 'mmd'])
def test_the_distance_alone_is_the_domain_gradient(name):
    model = build_model(
        name, TWO, encoders=small_encoders(TWO), domain_head=None
    )
    inputs, samples = batch_for(name, ('flow',))
    data = dict.fromkeys(TWO, inputs['flow'])
    total, logged = model.parse_losses(model(data, samples, mode='loss'))
    tasks = get_task_losses(total)
    assert tasks.losses[Task.DOMAIN] == logged['loss_domain_distance']
    assert tasks.losses[Task.DOMAIN] > 0
    assert {*tasks.confidences} == {Task.CLASSIFICATION}
    wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-2))
    wrapper.update_params(total)


@pytest.mark.parametrize('name', ['vrex', 'group_dro'])
def test_the_risk_stands_for_the_cross_entropy(name):
    logged = trained(name, range(1))[1]
    assert 'loss_cls' not in logged
    assert 'loss_cls_risk' in logged


@pytest.mark.parametrize('name', ['irm', 'vrex', 'group_dro'])
def test_unimodal_logits_need_their_heads(name):
    config = dict(method_config(name)['methods'][0], on=['fused', 'modality'])
    kwargs = dict(methods=[config])
    with pytest.raises(ValueError, match='reads model.unimodal_heads, got'):
        trained(name, range(1), **kwargs)
    trained(name, range(1), **kwargs, unimodal_heads=HEADS)


@pytest.mark.parametrize('name', ['coral', 'fishr', 'vrex'])
def test_mixed_precision(name):
    model = build_model(name, TWO, encoders=small_encoders(TWO))
    wrapper = AmpGMPOptimWrapper(
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        dtype='bfloat16',
    )
    inputs, samples = batch_for(name, ('flow',))
    data = dict(inputs=dict.fromkeys(TWO, inputs['flow']))
    logged = model.train_step(dict(data, data_samples=samples), wrapper)
    for key, value in logged.items():
        assert torch.isfinite(value), key
        assert value.dtype == torch.float32, key


@pytest.mark.parametrize(
    ('kind', 'kwargs', 'match'),
    [
        (CORALMethod, dict(weight=0.0), 'weight of CORALMethod must be > 0'),
        (CORALMethod, dict(on=[]), 'on of CORALMethod must be a list of'),
        (CORALMethod, dict(on='fused'), 'on of CORALMethod must be a list'),
        (CORALMethod, dict(on=['fuse']), "on of CORALMethod must be .*'fuse'"),
        (CORALMethod, dict(domains=0), 'num_domains of CORALMethod'),
        (MMDMethod, dict(gammas=[1.0, 0.0]), 'gammas of MMDMethod must be'),
        (IRMMethod, dict(ramp='fast'), "ramp must be .*'fast'"),
        (VRExMethod, dict(anneal_steps=-1), 'anneal_steps must be >= 0'),
        (GroupDROMethod, dict(eta=0.0), 'eta of GroupDROMethod must be > 0'),
        (FishrMethod, dict(decay=1.0, hidden_channels=4), 'decay in .0, 1.'),
    ],
)
def test_bad_options(kind, kwargs, match):
    with pytest.raises(ValueError, match=match):
        single(kind, **kwargs)
