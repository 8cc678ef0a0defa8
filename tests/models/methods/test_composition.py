"""Every method with and without the gradient strategy.

Gradients are compared in double precision on one forward pass, so random
masks do not matter. What the strategy does with a method's terms must follow
from their tasks alone.
"""

from __future__ import annotations

import pytest
import torch

from mmgmp.engine.optim import AmpGMPOptimWrapper, GMPOptimWrapper
from mmgmp.structures import Task, get_task_losses

from .toy_methods import (
    HEADS,
    METHODS,
    batch_for,
    build_model,
    method_config,
)

# The small ones of the toy encoders.
ONE, TWO = ('flow',), ('video', 'flow')
THREE = ('video', 'audio', 'flow')
TASKS = (Task.CLASSIFICATION, Task.DOMAIN, Task.EXTRA)
#: One domain term of each method, tagged as extra in the second test.
EXTRA = {
    'rna_net': 'norm',
    'simmmdg': 'translation',
    'moosa': 'jigsaw',
    'cmrf': 'distillation',
    'nel': 'spectrum',
    'jat': 'modality',
    'mbcd': 'distillation_fused',
}


class Recorder(torch.optim.SGD):
    """Keeps the gradients of the last step."""

    def step(self, closure=None):
        self.seen = {
            id(p): None if p.grad is None else p.grad.clone()
            for group in self.param_groups
            for p in group['params']
        }


def forward(name, num_domains=2, **kwargs):
    model = build_model(name, TWO, num_domains, **kwargs).double()
    if model._teacher is not None:
        model._teacher.model.double()
    inputs, samples = batch_for(name, TWO, num_domains or 1)
    inputs = {m: x.double() for m, x in inputs.items()}
    losses = model(inputs, samples, mode='loss')
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


@pytest.mark.parametrize('num_domains', [2, None])
@pytest.mark.parametrize('name', METHODS)
def test_off_equals_a_plain_backward_pass(name, num_domains):
    model, _, total = forward(name, num_domains)
    parameters = [p for p in model.parameters() if p.requires_grad]
    expected = gradient(total, parameters)
    seen = record(
        model,
        total,
        modulation=dict(type='DecoupledModulation', alpha_k=0, alpha_p=0),
        projection=None,
    )
    torch.testing.assert_close(
        read(seen, parameters), expected, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize('name', METHODS)
def test_on_touches_the_encoders_only_and_no_extra_term(name):
    term = EXTRA[name]
    config = dict(method_config(name)['methods'][0], tasks={term: 'extra'})
    model, losses, total = forward(name, methods=[config])
    tasks = get_task_losses(total)
    assert set(tasks.losses) == set(TASKS)
    assert set(tasks.confidences) == {Task.CLASSIFICATION, Task.DOMAIN}
    encoders = model.trainable_encoder_parameters()
    parts = {
        m: {t: flat(gradient(tasks.losses[t], ps)) for t in TASKS}
        for m, ps in encoders.items()
    }
    inside = {id(p) for ps in encoders.values() for p in ps}
    others = [p for p in model.parameters() if id(p) not in inside]
    expected_others = gradient(total, others)
    domain = [
        v
        for n, v in losses.items()
        if n.startswith('loss_domain') and v.requires_grad
    ]
    discriminator = discriminator_parameters(model)
    descent = flat(gradient(sum(domain), discriminator))
    seen = record(model, total)
    # Heads, fusion, projectors and discriminators: their ordinary gradient.
    torch.testing.assert_close(
        read(seen, others), expected_others, rtol=1e-6, atol=1e-9
    )
    assert flat(read(seen, discriminator)) @ descent > 0
    # Encoders: w_c g_c + w_d g_d + g_e, with other weights than 1.
    weights = []
    for modality, parameters in encoders.items():
        combined = flat(read(seen, parameters))
        basis = torch.stack(list(parts[modality].values()), dim=1)
        solution = torch.linalg.lstsq(basis, combined[:, None]).solution[:, 0]
        torch.testing.assert_close(
            basis @ solution, combined, rtol=1e-6, atol=1e-8
        )
        by_task = dict(zip(parts[modality], solution.tolist(), strict=True))
        if parts[modality][Task.EXTRA].any():
            assert by_task[Task.EXTRA] == pytest.approx(1, abs=1e-4)
        weights += [by_task[Task.CLASSIFICATION], by_task[Task.DOMAIN]]
    assert max(abs(w - 1) for w in weights) > 1e-3


def discriminator_parameters(model):
    if model.domain_head is not None:
        return list(model.domain_head.parameters())
    return list(model.methods[0].local_discriminator.parameters())


@pytest.mark.parametrize(
    ('modalities', 'num_domains'),
    [(ONE, 2), (TWO, 2), (TWO, None), (THREE, 3)],
    ids=['one-modality', 'two', 'single-source', 'three'],
)
@pytest.mark.parametrize('name', METHODS)
def test_three_steps_are_finite(name, modalities, num_domains):
    model = build_model(name, modalities, num_domains)
    wrapper = GMPOptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3))
    for seed in range(3):
        inputs, samples = batch_for(name, modalities, num_domains or 1, seed)
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
    # Not video: PyTorch's bfloat16 Conv3d gradients on a CPU are not finite
    # now and then.
    modalities = ('audio', 'flow')
    model = build_model(name, modalities)
    wrapper = AmpGMPOptimWrapper(
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        dtype='bfloat16',
    )
    inputs, samples = batch_for(name, modalities)
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
