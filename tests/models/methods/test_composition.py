"""Every method with and without the gradient strategy.

Gradients are compared in double precision on one forward pass, so random
masks do not matter. What the strategy does with a method's terms must follow
from their tasks alone.
"""

from __future__ import annotations

import copy
import math

import pytest
import torch

from mmgmp.engine.optim import AmpGMPOptimWrapper, GMPOptimWrapper
from mmgmp.structures import Task, get_task_losses

from .toy_methods import (
    HEADS,
    METHODS,
    build_model,
    method_config,
    small_batch_for,
    small_encoders,
)

# The small ones of the toy encoders.
ONE, TWO = ('flow',), ('video', 'flow')
THREE = ('video', 'audio', 'flow')
TASKS = (Task.CLASSIFICATION, Task.DOMAIN, Task.EXTRA)
#: One term of each method, tagged as extra in the second test.
EXTRA = {
    'rna_net': 'norm',
    'simmmdg': 'translation',
    'moosa': 'jigsaw',
    'cmrf': 'distillation',
    'nel': 'spectrum',
    'jat': 'modality',
    'mbcd': 'distillation_fused',
    'mer_dg': 'spectral',
}


class Recorder(torch.optim.SGD):
    """Keeps the gradients of the last step."""

    def step(self, closure=None):
        self.seen = {
            id(p): None if p.grad is None else p.grad.clone()
            for group in self.param_groups
            for p in group['params']
        }


def data_of(name, modalities=TWO, num_domains=2):
    inputs, samples = small_batch_for(name, modalities, num_domains or 1)
    return {m: x.double() for m, x in inputs.items()}, samples


def forward(name, num_domains=2, modalities=TWO, **kwargs):
    kwargs['encoders'] = small_encoders(modalities)
    model = build_model(name, modalities, num_domains, **kwargs).double()
    if model._teacher is not None:
        model._teacher.model.double()
    torch.manual_seed(1)
    losses = model(*data_of(name, modalities, num_domains), mode='loss')
    total, _ = model.parse_losses(losses)
    return model, losses, total


def record(model, total, **strategy):
    optimizer = Recorder(model.parameters(), lr=0.1)
    GMPOptimWrapper(optimizer, **strategy).update_params(total)
    return optimizer.seen


def gradient(loss, parameters):
    found = torch.autograd.grad(
        loss, parameters, retain_graph=True, allow_unused=True
    )
    return [
        torch.zeros_like(p) if g is None else g
        for g, p in zip(found, parameters, strict=True)
    ]


def flat(tensors):
    return torch.cat([t.reshape(-1) for t in tensors])


def read(seen, parameters):
    return [
        torch.zeros_like(p) if seen[id(p)] is None else seen[id(p)]
        for p in parameters
    ]


OFF = {
    'zero-alpha': dict(type='DecoupledModulation', alpha_k=0, alpha_p=0),
    'none': None,
}


@pytest.mark.parametrize(
    ('modulation', 'num_domains'),
    [('zero-alpha', 2), ('none', None)],
)
@pytest.mark.parametrize('name', METHODS)
def test_off_equals_a_plain_backward_pass(name, num_domains, modulation):
    model, _, total = forward(name, num_domains)
    parameters = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in parameters]
    expected = gradient(total, parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    GMPOptimWrapper(
        optimizer, modulation=OFF[modulation], projection=None
    ).update_params(total)
    torch.testing.assert_close(
        [b - p.detach() for b, p in zip(before, parameters, strict=True)],
        [0.1 * g for g in expected],
        rtol=1e-6,
        atol=1e-9,
    )


def combined(tasks, parts):
    """GMP's gradient of each encoder, written down from Eq. (8)-(15)."""
    modalities = list(parts)

    def ratios(task, inverse):
        sums = {
            m: x.sum().item()
            for m, x in tasks.confidences.get(task, {}).items()
        }
        found = {}
        for m in modalities:
            others = [v for n, v in sums.items() if n != m]
            if not others:
                found[m] = 1.0
                continue
            ratio = sums[m] / (sum(others) / len(others))
            found[m] = 1 / ratio if inverse else ratio
        return found

    def factor(ratio):
        return 1 - math.tanh(0.5 * ratio) if ratio > 1 else 1.0

    rho = ratios(Task.CLASSIFICATION, inverse=False)
    sigma = ratios(Task.DOMAIN, inverse=True)
    result, facts = {}, {}
    for m, part in parts.items():
        semantic = factor(rho[m]) * part[Task.CLASSIFICATION]
        domain = factor(sigma[m]) * part[Task.DOMAIN]
        dot = semantic @ domain
        kept = semantic + domain
        if dot < 0 and rho[m] >= sigma[m]:
            kept = kept - dot / (domain @ domain) * domain
        elif dot < 0:
            kept = kept - dot / (semantic @ semantic) * semantic
        result[m] = kept + part[Task.EXTRA]
        facts[m] = factor(rho[m]), factor(sigma[m]), dot.item() < 0
    return result, facts


@pytest.mark.parametrize(
    ('modalities', 'num_domains'),
    [
        pytest.param(TWO, 2, id='two', marks=pytest.mark.slow),
        pytest.param(TWO, None, id='single-source'),
        pytest.param(THREE, 3, id='three'),
    ],
)
@pytest.mark.parametrize('name', METHODS)
def test_on_every_encoder_gets_the_combined_gradient(
    name, modalities, num_domains
):
    term = EXTRA[name]
    config = dict(method_config(name, num_domains or 1)['methods'][0])
    config['tasks'] = {**config.get('tasks', {}), term: 'extra'}
    model, losses, total = forward(
        name, num_domains, modalities, methods=[config]
    )
    tasks = get_task_losses(total)
    # The extra task is that one term and nothing else.
    assert tasks.losses[Task.EXTRA] == losses[f'loss_extra_{term}']
    assert sum(n.startswith('loss_extra') for n in losses) == 1
    sides = {Task.CLASSIFICATION} | ({Task.DOMAIN} if num_domains else set())
    assert set(tasks.confidences) == sides
    encoders = model.trainable_encoder_parameters()
    assert set(encoders) == set(modalities)
    parts = {
        m: {
            t: flat(gradient(tasks.losses[t], ps))
            if t in tasks.losses
            else torch.zeros_like(flat(ps))
            for t in TASKS
        }
        for m, ps in encoders.items()
    }
    inside = {id(p) for ps in encoders.values() for p in ps}
    others = [p for p in model.parameters() if id(p) not in inside]
    expected_others = gradient(total, others)
    expected, facts = combined(tasks, parts)
    seen = record(model, total)
    for modality, parameters in encoders.items():
        assert parts[modality][Task.EXTRA].any()
        torch.testing.assert_close(
            flat(read(seen, parameters)),
            expected[modality],
            rtol=1e-6,
            atol=1e-9,
        )
    # Something was modulated or projected, so this is not the plain sum.
    assert any(k < 1 or p < 1 or c for k, p, c in facts.values())
    # Heads, fusion, projectors and discriminators: their ordinary gradient.
    torch.testing.assert_close(
        read(seen, others), expected_others, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize('name', METHODS)
def test_the_discriminator_descends_what_the_encoders_climb(name):
    model, losses, total = forward(name)
    own = domain_loss(losses)
    value = own.item()
    encoders = [
        p for ps in model.trainable_encoder_parameters().values() for p in ps
    ]
    climbing = gradient(own, encoders)
    discriminator = discriminator_parameters(model)
    seen = record(model, total)

    def after(parameters, gradients):
        moved = copy.deepcopy(model.state_dict())
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p -= 1e-4 / flat(gradients).norm() * g
        torch.manual_seed(1)  # the same random masks
        found = domain_loss(model(*data_of(name), mode='loss')).item()
        model.load_state_dict(moved)
        return found

    # With the gradient that the optimizer got, and that of the domain loss.
    assert after(discriminator, read(seen, discriminator)) < value
    assert after(encoders, climbing) > value


def domain_loss(losses):
    """Of the discriminator: JAT's two, or GMP's."""
    names = ['loss_domain_local', 'loss_domain_global']
    if names[0] not in losses:
        names = ['loss_domain']
    return sum(losses[name] for name in names)


def discriminator_parameters(model):
    if model.domain_head is not None:
        return list(model.domain_head.parameters())
    method = model.methods[0]
    return [
        p
        for part in (
            method.domain_projectors,
            method.local_discriminator,
            method.global_discriminator,
        )
        for p in part.parameters()
    ]


@pytest.mark.parametrize(
    ('modalities', 'num_domains'),
    [
        pytest.param(ONE, 2, id='one-modality'),
        pytest.param(TWO, None, id='single-source', marks=pytest.mark.slow),
        pytest.param(THREE, 3, id='three'),
    ],
)
@pytest.mark.parametrize('name', METHODS)
def test_three_steps_are_finite(name, modalities, num_domains):
    encoders = small_encoders(modalities)
    model = build_model(name, modalities, num_domains, encoders=encoders)
    wrapper = GMPOptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3))
    for seed in range(3):
        inputs, samples = small_batch_for(
            name, modalities, num_domains or 1, seed
        )
        logged = model.train_step(
            dict(inputs=inputs, data_samples=samples), wrapper
        )
        assert all(torch.isfinite(v).all() for v in logged.values())
    for parameter in model.parameters():
        assert torch.isfinite(parameter).all()
    model.eval()
    predicted = model(inputs, samples, mode='predict')
    assert predicted[0].pred_score.shape == (3,)


@pytest.mark.parametrize('name', METHODS)
def test_mixed_precision_keeps_the_terms_in_full_precision(name):
    # In two dimensions: PyTorch's bfloat16 Conv3d gradients on a CPU are slow,
    # and not finite now and then.
    encoders = small_encoders(TWO, like='audio')
    model = build_model(name, TWO, encoders=encoders)
    wrapper = AmpGMPOptimWrapper(
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        dtype='bfloat16',
    )
    inputs, samples = small_batch_for(name, TWO, like='audio')
    data = dict(inputs=inputs, data_samples=samples)
    logged = model.train_step(data, wrapper)
    for key, value in logged.items():
        assert torch.isfinite(value), key
        assert value.dtype == torch.float32, key


def test_a_second_pass_leaves_no_features_for_the_feature_level():
    model, _, total = forward('mbcd')
    assert get_task_losses(total).features == {}
    wrapper = GMPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), level='feature'
    )
    with pytest.raises(ValueError, match="level='feature' needs"):
        wrapper.update_params(total)


@pytest.mark.parametrize('name', [m for m in METHODS if m != 'mbcd'])
def test_without_a_second_pass_both_levels_agree(name):
    """Exact without a projection, so every path is through the features."""
    results = []
    for level in ('parameter', 'feature'):
        model, _, total = forward(name)
        seen = record(model, total, projection=None, level=level)
        encoders = model.trainable_encoder_parameters()
        results.append(
            flat([t for ps in encoders.values() for t in read(seen, ps)])
        )
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-9)


def test_two_methods_cannot_return_the_same_term():
    methods = [
        m for n in ('simmmdg', 'moosa') for m in method_config(n)['methods']
    ]
    with pytest.raises(ValueError, match="two terms 'loss_cls_contrast'"):
        forward('simmmdg', methods=methods, unimodal_heads=HEADS)
