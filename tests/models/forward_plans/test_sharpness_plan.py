from __future__ import annotations

import copy

import pytest
import torch

from mmgmp.engine.optim import AmpGMPOptimWrapper, GMPOptimWrapper
from mmgmp.models.forward_plans.sharpness_plan import ascent
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

TWO, THREE = ('video', 'flow'), ('video', 'audio', 'flow')
PLAIN = dict(type='SinglePassPlan')


def build(plan=None, modalities=TWO, frozen_stages=3, **encoder):
    torch.manual_seed(0)
    config = toy_recognizer(modalities, forward_plan=plan)
    for part in config['encoders'].values():
        part.update(frozen_stages=frozen_stages, **encoder)
    return MODELS.build(config)


def sam(**options):
    return dict(type='SharpnessPlan', **options)


def trainable(model):
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def differentiate(model, seed=1):
    """Loss and gradients of one batch, and the random state behind it."""
    inputs, samples = toy_batch(6, modalities=model.modalities)
    torch.manual_seed(seed)
    loss, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    state = torch.get_rng_state()
    loss.backward()
    return (
        loss.detach(),
        {n: p.grad for n, p in trainable(model).items()},
        state,
    )


def test_hand_computed():
    theta = torch.tensor([3.0, 4.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(theta.square().sum() / 2, theta)
    [step] = ascent([gradient], 0.5)
    torch.testing.assert_close(step, torch.tensor([0.3, 0.4]))
    ((theta + step).square().sum() / 2).backward()
    torch.testing.assert_close(theta.grad, torch.tensor([3.3, 4.4]))


@pytest.mark.parametrize('scale', [1e-37, 1e-25, 1.0, 1e25, 1e37])
def test_the_step_has_its_length_whatever_the_gradient(scale):
    parts = [torch.randn(5) * scale, None, torch.randn(2, 3) * scale]
    found = ascent(parts, 0.05)
    assert found[1] is None
    flat = torch.cat([found[0], found[2].flatten()]).double()
    assert flat.norm().item() == pytest.approx(0.05, rel=1e-5)


def test_no_gradient_is_no_step_and_nan_is_not_hidden():
    zeros = [torch.zeros(3), torch.zeros(2)]
    assert not any(step.any() for step in ascent(zeros, 0.05))
    assert ascent([None, None], 0.05) == [None, None]
    broken = ascent([torch.tensor([1.0, float('nan')])], 0.05)
    assert broken[0].isnan().all()


@pytest.mark.parametrize('frozen_stages', [-1, 3])
def test_without_a_step_it_is_one_plain_pass_bit_for_bit(frozen_stages):
    plain = build(PLAIN, frozen_stages=frozen_stages, feature_dropout=0.5)
    flat = build(
        sam(rho=0.0), frozen_stages=frozen_stages, feature_dropout=0.5
    )
    loss, expected, state = differentiate(plain)
    found, gradients, behind = differentiate(flat)
    assert torch.equal(found, loss)
    assert torch.equal(behind, state)
    for name, gradient in expected.items():
        assert torch.equal(gradients[name], gradient), name
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffer, dict(flat.named_buffers())[name]), name


@pytest.mark.parametrize('modalities', [TWO, THREE])
@pytest.mark.parametrize('scope', ['global', 'modality'])
def test_gradients_are_those_of_the_perturbed_weights(modalities, scope):
    """Against a model whose weights are moved by hand."""
    model = build(sam(rho=0.5, scope=scope), modalities, feature_dropout=0.5)
    moved = build(PLAIN, modalities, feature_dropout=0.5)
    inputs, samples = toy_batch(6, modalities=modalities)
    probe = copy.deepcopy(moved)
    torch.manual_seed(1)
    batch = probe.forward_plan.run(probe, inputs, samples)
    probe.cls_head.loss(batch.logits, batch.labels).backward()
    encoders = {m: trainable(e) for m, e in probe.encoders.items()}
    norms = {
        m: torch.stack([p.grad.norm() for p in e.values()]).norm()
        for m, e in encoders.items()
    }
    if scope == 'global':
        norms = dict.fromkeys(norms, torch.stack([*norms.values()]).norm())
    with torch.no_grad():
        for m, parameters in encoders.items():
            for name, p in parameters.items():
                own = moved.encoders[m].get_parameter(name)
                own += 0.5 * p.grad / norms[m]
    before = {n: p.clone() for n, p in trainable(model).items()}
    loss, gradients, _ = differentiate(model)
    expected_loss, expected, _ = differentiate(moved)
    torch.testing.assert_close(loss, expected_loss)
    for name, gradient in expected.items():
        torch.testing.assert_close(
            gradients[name], gradient, rtol=1e-3, atol=1e-5
        )
        assert torch.equal(model.get_parameter(name), before[name])


def test_frozen_stages_run_once_and_norms_learn_once():
    model = build(sam())
    backbone = model.encoders['flow'].backbone
    calls = []
    for name in ('layer3', 'layer4'):
        getattr(backbone, name).register_forward_hook(
            lambda *_, name=name: calls.append(name)
        )
    differentiate(model)
    assert calls == ['layer3', 'layer4', 'layer4']
    counts = {
        int(value)
        for name, value in model.encoders.state_dict().items()
        if 'layer4' in name and name.endswith('num_batches_tracked')
    }
    assert counts == {1}


@pytest.mark.parametrize('wrapper', [GMPOptimWrapper, AmpGMPOptimWrapper])
def test_gmp_steps_on_it(wrapper):
    model = build(sam(), THREE)
    before = {n: p.clone() for n, p in trainable(model).items()}
    options = {} if wrapper is GMPOptimWrapper else {'dtype': 'bfloat16'}
    optim = wrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1), **options
    )
    inputs, samples = toy_batch(4, THREE)
    logged = model.train_step(dict(inputs=inputs, data_samples=samples), optim)
    assert all(torch.isfinite(value).all() for value in logged.values())
    for name, p in trainable(model).items():
        assert p.isfinite().all()
        assert not torch.equal(p, before[name]), name


def test_gradients_at_the_outputs_are_refused():
    model = build(sam())
    optim = GMPOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1), level='feature'
    )
    inputs, samples = toy_batch(4, TWO)
    with pytest.raises(ValueError, match="level='parameter'"):
        model.train_step(dict(inputs=inputs, data_samples=samples), optim)


@pytest.mark.parametrize(
    ('plan', 'encoder', 'match'),
    [
        (sam(rho=-0.1), {}, 'rho of SharpnessPlan must be >= 0, got -0.1'),
        (sam(rho=float('nan')), {}, 'rho of SharpnessPlan'),
        (sam(scope='layer'), {}, 'scope of SharpnessPlan must be one of'),
        (sam(), dict(with_cp=True), r'SharpnessPlan .*video\.with_cp=True'),
    ],
)
def test_what_cannot_be_is_refused(plan, encoder, match):
    with pytest.raises(ValueError, match=match):
        build(plan, **encoder)
