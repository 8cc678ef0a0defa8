from __future__ import annotations

import pytest
import torch

from mmgmp.models.forward_plans.inner_step_plan import inner_step
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

SMALL = ('video', 'flow')
HEADS = dict(
    type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
)


def build(plan, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(toy_recognizer(SMALL, forward_plan=plan, **kwargs))


def run(model, inputs=None, samples=None):
    if inputs is None:
        inputs, samples = toy_batch(modalities=SMALL)
    return model.forward_plan.run(model, inputs, samples)


def two_views():
    inputs, samples = toy_batch(modalities=SMALL)
    others, more = toy_batch(modalities=SMALL, seed=1)
    inputs = {m: torch.cat([x, others[m]]) for m, x in inputs.items()}
    return inputs, samples + more


@pytest.mark.parametrize(
    ('second_order', 'expected'), [(False, -0.1), (True, 0.01)]
)
def test_inner_step_by_hand(second_order, expected):
    theta = torch.tensor(2.0, requires_grad=True)
    unimodal = (theta - 1) ** 2 / 2
    moved = inner_step({'w': theta}, unimodal, 0.1, second_order)['w']
    assert moved.item() == pytest.approx(1.9)
    total = (moved - 3) ** 2 / 2 + unimodal
    total.backward()
    assert theta.grad.item() == pytest.approx(expected)
    assert theta.item() == 2


def test_an_inner_step_of_zero_repeats_the_first_pass():
    model = build(
        dict(type='InnerStepPlan', step_size=0.0), unimodal_heads=HEADS
    )
    batch = run(model)
    for m in SMALL:
        torch.testing.assert_close(batch.inner_features[m], batch.features[m])
    assert batch.outputs == {}


def test_the_second_pass_is_that_of_a_model_after_a_plain_step():
    plan = dict(type='InnerStepPlan', step_size=0.1)
    model = build(plan, unimodal_heads=HEADS)
    batch = run(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    encoder = model.encoders['flow']
    loss = model.unimodal_heads['flow'].loss(
        batch.unimodal_logits['flow'], batch.labels
    )
    parameters = list(encoder.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    # Running statistics and weights were left as they are.
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    with torch.no_grad():
        for p, g in zip(parameters, gradients, strict=True):
            p -= 0.1 * g
    expected = encoder(batch.inputs['flow'])
    torch.testing.assert_close(batch.inner_features['flow'], expected)
    assert not torch.allclose(batch.features['flow'], expected)


@pytest.mark.parametrize(('update', 'expected'), [(False, 1), (True, 2)])
def test_running_statistics_learn_once_unless_asked(update, expected):
    model = build(
        dict(type='InnerStepPlan', update_norm_stats=update),
        unimodal_heads=HEADS,
    )
    run(model)
    counts = {
        int(value)
        for name, value in model.encoders.state_dict().items()
        if name.endswith('num_batches_tracked')
    }
    assert counts == {expected}


def test_frozen_stages_run_once():
    config = toy_recognizer(
        SMALL,
        forward_plan=dict(type='InnerStepPlan'),
        unimodal_heads=HEADS,
    )
    config['encoders']['flow']['frozen_stages'] = 3
    model = MODELS.build(config)
    backbone = model.encoders['flow'].backbone
    calls = []
    for name in ('layer3', 'layer4'):
        getattr(backbone, name).register_forward_hook(
            lambda *_, name=name: calls.append(name)
        )
    run(model)
    assert sorted(calls) == ['layer3', 'layer4', 'layer4']


def test_views_keep_their_order():
    model = build(dict(type='MultiViewPlan')).eval()
    inputs, samples = two_views()
    batch = run(model, inputs, samples)
    assert batch.num_views == 2
    assert batch.labels.tolist() == [0, 1, 2, 0] * 2
    second = toy_batch(modalities=SMALL, seed=1)[0]
    torch.testing.assert_close(
        batch.features['flow'][4:], model.extract_feat(second)['flow']
    )


def test_rows_that_are_no_views_are_refused():
    model = build(dict(type='MultiViewPlan'))
    with pytest.raises(ValueError, match="'MultiViewPipeline', num_views=2"):
        run(model)
    inputs, samples = two_views()
    samples[4].set_gt_label(2)
    with pytest.raises(ValueError, match='2 views of each sample'):
        run(model, inputs, samples)


@pytest.mark.parametrize(
    ('plan', 'kwargs', 'match'),
    [
        (dict(type='InnerStepPlan'), {}, 'needs model.unimodal_heads'),
        (dict(type='InnerStepPlan', step_size=-1.0), {}, 'step_size'),
        (dict(type='MultiViewPlan', num_views=1), {}, 'num_views must be'),
        (
            None,
            dict(methods=[dict(type='NELMethod')]),
            "NELMethod needs a model.forward_plan.*'MultiViewPlan'",
        ),
    ],
)
def test_bad_plans_are_explained(plan, kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(plan, **kwargs)


def test_recomputed_activations_are_refused():
    config = toy_recognizer(
        SMALL,
        forward_plan=dict(type='InnerStepPlan'),
        unimodal_heads=HEADS,
    )
    config['encoders']['video']['with_cp'] = True
    with pytest.raises(ValueError, match=r'encoders\.video\.with_cp=True'):
        MODELS.build(config)
