from __future__ import annotations

import pytest
import torch

from mmgmp.models.forward_plans import mix_style
from mmgmp.models.forward_plans.mix_style import (
    MixStyle,
    mix_statistics,
)
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

TWO, THREE = ('video', 'flow'), ('video', 'audio', 'flow')


def build(modalities=TWO, frozen_stages=3, plan='SinglePassPlan', **noise):
    torch.manual_seed(0)
    noise = {'type': 'MixStyle', 'probability': 1.0, **noise}
    heads = dict(type='MLPClassifierHead', num_classes=3, hidden_channels=0)
    config = toy_recognizer(
        modalities,
        unimodal_heads=heads,
        forward_plan=dict(type=plan, noise=noise),
    )
    for encoder in config['encoders'].values():
        encoder['frozen_stages'] = frozen_stages
    return MODELS.build(config)


def run(model, seed=0):
    inputs, samples = toy_batch(6, modalities=model.modalities)
    torch.manual_seed(seed)
    return model.forward_plan.run(model, inputs, samples)


@pytest.fixture
def calls(monkeypatch):
    """Maps, partners and weights of every mix."""
    found = []

    def record(maps, partner, weight, *options):
        found.append((maps.shape, partner, weight))
        return mix_statistics(maps, partner, weight, *options)

    monkeypatch.setattr(mix_style, 'mix_statistics', record)
    return found


def test_hand_computed():
    x = torch.tensor([[[1.0, 3.0]], [[10.0, 14.0]]])
    mixed = mix_statistics(x, torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    expected = torch.tensor([7.750001, 11.249999])
    torch.testing.assert_close(mixed[0, 0], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed[1], x[1])


def test_the_divisor_of_the_released_code():
    x = torch.tensor([[[1.0, 3.0]], [[10.0, 14.0]]]).double()
    swap, weight = torch.tensor([1, 0]), torch.zeros(2)
    mixed = mix_statistics(x, swap, weight, unbiased=True, eps=1e-12)
    torch.testing.assert_close(mixed[0], x[1])  # both differ by sqrt(2)
    torch.testing.assert_close(mixed.var(2), x.flip(0).var(2))


@pytest.mark.parametrize('shape', [(4, 3, 5, 6), (4, 3, 2, 5, 6), (4, 3, 1)])
def test_statistics_are_the_mixed_ones(shape):
    x = torch.randn(shape, dtype=torch.float64) * 3 + 1
    partner, weight = torch.tensor([2, 0, 3, 3]), torch.rand(4)
    mixed = mix_statistics(x, partner, weight, eps=1e-14).flatten(2)
    own = weight.double()[:, None]
    means = x.flatten(2).mean(2)
    torch.testing.assert_close(
        mixed.mean(2), own * means + (1 - own) * means[partner]
    )
    deviations = x.flatten(2).std(2, correction=0)
    torch.testing.assert_close(
        mixed.std(2, correction=0),
        own * deviations + (1 - own) * deviations[partner],
        atol=1e-7,
        rtol=1e-6,
    )


@pytest.mark.parametrize('scale', [0.0, 1e-30, 1e15])
def test_hard_maps_stay_finite(scale):
    x = (torch.randn(3, 2, 4) * scale).requires_grad_()
    mixed = mix_statistics(x, torch.tensor([1, 2, 0]), torch.rand(3))
    mixed.sum().backward()
    assert mixed.isfinite().all()
    assert x.grad.isfinite().all()


def test_half_precision_is_computed_in_full():
    x = torch.randn(3, 2, 64)
    partner, weight = torch.tensor([1, 2, 0]), torch.rand(3)
    whole = mix_statistics(x, partner, weight)
    for dtype in (torch.float16, torch.bfloat16):
        half = mix_statistics(x.to(dtype), partner, weight)
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), whole, atol=0.05, rtol=0.02)


@pytest.mark.parametrize('modalities', [TWO, THREE])
@pytest.mark.parametrize('shared', [False, True])
def test_modalities_have_their_own_styles_unless_shared(
    modalities, shared, calls
):
    batch = run(build(modalities, shared=shared))
    assert batch.features['flow'].isfinite().all()
    # Video has two pathways, which are one style.
    assert len(calls) == len(modalities) + 1
    weights = [weight for _, _, weight in calls]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(calls[0][1], calls[1][1])
    assert torch.equal(weights[0], weights[-1]) is shared
    assert all((w >= 0).all() and (w <= 1).all() for w in weights)


def test_what_enters_the_first_trained_stage_is_mixed(calls):
    model = build(('flow',))
    run(model)
    backbone = model.encoders['flow'].backbone
    width = backbone.layer4[0].conv1.conv.in_channels
    assert [shape[1] for shape, *_ in calls] == [width]
    calls.clear()
    run(build(('flow',), frozen_stages=-1, stages=[2, 3]))
    assert len(calls) == 2


def test_partners_of_other_domains_come_from_the_labels(calls):
    model = build(('flow',), partner='domain')
    inputs, samples = toy_batch(6, modalities=('flow',))
    # Two clips of each sample.
    inputs['flow'] = inputs['flow'].expand(6, 2, *inputs['flow'].shape[2:])
    model.forward_plan.run(model, inputs, samples)
    [(shape, partner, weight)] = calls
    assert shape[0] == 12
    rows = torch.arange(12)
    assert torch.equal(partner % 2, rows % 2)
    labels = torch.cat([s.domain_label for s in samples])
    assert (labels[partner // 2] != labels[rows // 2]).all()
    assert torch.equal(weight[::2], weight[1::2])


def test_only_training_passes_are_mixed():
    model = build()
    first, second = run(model, 0), run(model, 1)
    plain = model.transform_features(model.encode(first.inputs))
    for m in TWO:
        assert not torch.allclose(first.features[m], second.features[m])
        assert not torch.allclose(first.features[m], plain[m])
        assert torch.equal(run(model, 1).features[m], second.features[m])
    for module in model.modules():
        assert not module._forward_pre_hooks


def test_a_probability_of_zero_changes_nothing():
    model = build(probability=0.0)
    batch = run(model)
    for m, x in model.encode(batch.inputs).items():
        assert torch.equal(batch.features[m], x)


def test_losses_are_differentiated_under_autocast():
    model = build(THREE)
    inputs, samples = toy_batch(4, THREE)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(inputs, samples, mode='loss')
        loss, _ = model.parse_losses(losses)
    loss.backward()
    for encoder in model.encoders.values():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(probability=1.5), 'probability in'),
        (dict(alpha=0.0), 'alpha > 0'),
        (dict(partner='friend'), 'partner of MixStyle must be one of'),
        (dict(stages=[3]), r'trained stages of video, 4 to 4, got \[3\]'),
        (dict(stages=[5]), r'got \[5\]'),
        (dict(plan='InnerStepPlan', stages=[1]), r'got \[1\]'),
    ],
)
def test_what_cannot_be_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        build(**options)


def test_other_noise_is_refused():
    config = toy_recognizer(TWO)
    config['forward_plan'] = dict(
        type='SinglePassPlan', noise=dict(type='SinglePassPlan')
    )
    with pytest.raises(TypeError, match=r"noise must be dict\(type='DSU'\)"):
        MODELS.build(config)


def test_samples_without_a_modality_are_refused():
    assert MixStyle.allows_missing is False
    assert build().forward_plan.allows_missing is False
