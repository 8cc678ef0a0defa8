from __future__ import annotations

import pytest
import torch

from mmgmp.models.forward_plans import statistics_noise as noise
from mmgmp.models.forward_plans.statistics_noise import resample_statistics
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

SMALL = ('video', 'flow')
HEADS = dict(
    type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
)
DSU = dict(type='DSU')


def build(plan, frozen_stages=-1, **encoder):
    torch.manual_seed(0)
    config = toy_recognizer(SMALL, unimodal_heads=HEADS, forward_plan=plan)
    for m in SMALL:
        config['encoders'][m].update(frozen_stages=frozen_stages, **encoder)
    return MODELS.build(config)


def run(model, seed=0):
    inputs, samples = toy_batch(6, modalities=SMALL)
    torch.manual_seed(seed)
    return model.forward_plan.run(model, inputs, samples)


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(noise, 'PROBABILITY', 1.0)


@pytest.mark.parametrize('shape', [(4, 3, 5), (4, 3, 5, 6), (4, 3, 2, 5, 6)])
def test_new_statistics_are_those_that_were_drawn(shape):
    """Against the definition, with the same normal numbers."""
    maps = torch.randn(shape, dtype=torch.float64) * 3
    torch.manual_seed(1)
    drawn = resample_statistics(maps, eps=1e-12).flatten(2)
    flat = maps.flatten(2)
    torch.manual_seed(1)
    for old, new in (
        (flat.mean(2), drawn.mean(2)),
        (flat.std(2), drawn.std(2)),
    ):
        expected = old + torch.randn_like(old) * old.std(0)
        # Maps of a negative deviation are turned round.
        turned = expected.abs() if (old > 0).all() else expected
        torch.testing.assert_close(new, turned)


def test_the_spread_is_that_of_the_batch():
    level = torch.tensor([0.0, 4.0]).repeat(500)[:, None, None]
    maps = level + torch.randn(1000, 1, 50)
    drawn = resample_statistics(maps).mean(2)
    # Variance of the means, once from the samples and once from the noise.
    assert drawn.var().item() == pytest.approx(8, rel=0.15)


def test_gradients_flow_and_one_sample_is_left_alone():
    maps = torch.randn(3, 2, 4, requires_grad=True)
    resample_statistics(maps).square().sum().backward()
    assert torch.isfinite(maps.grad).all()
    assert maps.grad.abs().sum() > 0
    constant = torch.zeros(3, 2, 4)
    assert torch.isfinite(resample_statistics(constant)).all()
    one = torch.randn(1, 2, 4)
    assert torch.equal(resample_statistics(one), one)
    half = resample_statistics(torch.randn(3, 2, 4, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize('frozen_stages', [-1, 3])
@pytest.mark.parametrize('plan', ['SinglePassPlan', 'InnerStepPlan'])
def test_features_are_disturbed_in_the_plan_only(plan, frozen_stages, always):
    model = build(dict(type=plan, noise=DSU), frozen_stages)
    first, second = run(model, 0), run(model, 1)
    plain = model.transform_features(model.encode(first.inputs))
    for m in SMALL:
        assert not torch.allclose(first.features[m], second.features[m])
        assert not torch.allclose(first.features[m], plain[m])
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_both_ends_of_the_last_stage_of_each_pathway(always, monkeypatch):
    shapes = []

    def record(maps):
        shapes.append(tuple(maps.shape[1:2]))
        return maps

    monkeypatch.setattr(noise, 'resample_statistics', record)
    model = build(dict(type='SinglePassPlan', noise=DSU))
    run(model)
    fast, slow = model.encoders['video'].backbone, model.encoders['flow']
    assert len(shapes) == 2 * 3
    widths = [
        fast.slow_path.feat_dim,
        fast.fast_path.feat_dim,
        slow.out_channels,
    ]
    assert [s[0] for s in shapes[1::2]] == widths


def test_the_second_pass_of_the_inner_step_is_clean(always):
    model = build(dict(type='InnerStepPlan', step_size=0.0, noise=DSU))
    batch = run(model)
    plain = model.encode(batch.inputs)
    for m in SMALL:
        torch.testing.assert_close(batch.inner_features[m], plain[m])


def test_odds_are_even(monkeypatch):
    monkeypatch.setattr(noise, 'resample_statistics', lambda maps: -maps)
    drawn = [noise._maybe(torch.ones(())).item() for _ in range(1000)]
    assert drawn.count(-1) == pytest.approx(500, abs=60)


@pytest.mark.parametrize('plan', ['SinglePassPlan', 'InnerStepPlan'])
def test_recomputed_activations_are_refused(plan):
    with pytest.raises(ValueError, match='with_cp=True'):
        build(dict(type=plan, noise=DSU), with_cp=True)


def test_a_backbone_without_stages_is_refused():
    config = toy_recognizer(
        ('flow',),
        forward_plan=dict(type='SinglePassPlan', noise=DSU),
    )
    config['encoders']['flow'].update(
        backbone=dict(type='MobileNetV2TSM', num_segments=1, pretrained=None),
        out_channels=1280,
    )
    with pytest.raises(
        ValueError, match='MobileNetV2TSM for flow.*noise=None'
    ):
        MODELS.build(config)
