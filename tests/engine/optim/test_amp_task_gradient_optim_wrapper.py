from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mmgmp.engine.optim import (
    AmpGMPOptimWrapper,
    AmpTaskGradientOptimWrapper,
    GMPOptimWrapper,
)
from mmgmp.structures import Task, TaskLosses, attach_task_losses

from .toy import ToyModel, take, toy_data


def build(seed=0, **kwargs):
    torch.manual_seed(seed)
    model = ToyModel()
    kind = AmpGMPOptimWrapper if kwargs else GMPOptimWrapper
    micro = kwargs.pop('accumulative_counts', 1)
    wrapper = kind(
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
        accumulative_counts=micro,
        clip_grad=kwargs.pop('clip_grad', None),
        **kwargs,
    )
    return model, wrapper


def train(model, wrapper, steps, micro=1, **loss):
    for step in steps:
        data = toy_data(16, seed=step)
        for part in torch.arange(16).chunk(micro):
            with wrapper.optim_context(model):
                total = model.loss(take(data, part), **loss)
            wrapper.update_params(total)


def assert_same(first, second, **kwargs):
    for name, value in second.state_dict().items():
        torch.testing.assert_close(
            first.state_dict()[name], value, msg=name, **kwargs
        )


@pytest.mark.parametrize('micro', [1, 4])
@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=0.1)])
@pytest.mark.parametrize('scale', [1.0, 65536.0])
def test_the_loss_scale_does_not_matter(scale, clip_grad, micro):
    plain, wrapper = build()
    wrapper.clip_grad_kwargs = clip_grad
    wrapper.clip_func = nn.utils.clip_grad_norm_
    wrapper.grad_name = 'grad_norm'
    wrapper._accumulative_counts = micro
    train(plain, wrapper, range(5), micro)
    scaled, wrapper = build(
        dtype='float64',
        loss_scale=scale,
        clip_grad=clip_grad,
        accumulative_counts=micro,
    )
    train(scaled, wrapper, range(5), micro)
    assert wrapper.loss_scaler.is_enabled()
    # A power of two: not even the rounding differs.
    assert_same(scaled, plain, rtol=0, atol=0)


def test_a_scale_that_is_no_power_of_two():
    plain, wrapper = build()
    train(plain, wrapper, range(5))
    scaled, wrapper = build(dtype='float64', loss_scale=1000.0)
    train(scaled, wrapper, range(5))
    assert_same(scaled, plain, rtol=1e-10, atol=1e-12)


def test_diagnostics_are_those_without_scale():
    values = []
    for kwargs in ({}, dict(dtype='float64', loss_scale=65536.0)):
        model, wrapper = build(**kwargs)
        train(model, wrapper, range(1))
        values.append(wrapper.read_diagnostics())
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize('micro', [1, 2])
@pytest.mark.parametrize('bad', [float('inf'), float('nan')])
def test_an_overflow_skips_the_step_and_leaves_nothing_behind(bad, micro):
    options = dict(
        dtype='float64',
        loss_scale=dict(init_scale=1024.0),
        accumulative_counts=micro,
    )
    model, wrapper = build(**options)
    train(model, wrapper, range(2), micro)
    clean = copy.deepcopy(model.state_dict())
    train(model, wrapper, range(1), micro, class_weight=bad)
    for name, value in clean.items():
        assert torch.equal(model.state_dict()[name], value), name
    assert wrapper.loss_scaler.get_scale() == 512
    assert wrapper._window.gradients == {}
    assert all(p.grad is None for p in model.parameters())

    other, fresh = build(**options)
    other.load_state_dict(clean)
    fresh.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    for pair in ((model, wrapper), (other, fresh)):
        train(*pair, range(5, 7), micro)
    assert_same(other, model, rtol=0, atol=0)


def test_a_bad_step_that_the_optimizer_leaves_out_is_forgotten():
    """Without a scaler, but with an optimizer that looks for itself."""

    class Careful(torch.optim.SGD):
        def step(self, closure=None):
            grads = [p.grad for g in self.param_groups for p in g['params']]
            if all(g is None or g.isfinite().all() for g in grads):
                super().step(closure)

    torch.manual_seed(0)
    model = ToyModel()
    wrapper = GMPOptimWrapper(Careful(model.parameters(), lr=0.1))
    seen = []
    wrapper.optimizer.register_step_pre_hook(
        lambda o, a, k: seen.append(model.encoders['video'][0].weight.grad)
    )
    train(model, wrapper, range(1), class_weight=float('nan'))
    assert seen[0].isnan().any()
    train(model, wrapper, range(1, 3))

    torch.manual_seed(0)
    clean = ToyModel()
    wrapper = GMPOptimWrapper(torch.optim.SGD(clean.parameters(), lr=0.1))
    train(clean, wrapper, range(1, 3))
    assert_same(model, clean, rtol=0, atol=0)


def test_the_state_of_the_scaler_survives(tmp_path):
    options = dict(
        dtype='float64',
        loss_scale=dict(init_scale=8.0, growth_interval=3),
    )
    whole, wrapper = build(**options)
    train(whole, wrapper, range(8))
    assert wrapper.loss_scaler.get_scale() == 32

    model, wrapper = build(**options)
    train(model, wrapper, range(4))
    torch.save([model.state_dict(), wrapper.state_dict()], tmp_path / 'x.pth')
    model, wrapper = build(seed=1, **options)
    weights, state = torch.load(tmp_path / 'x.pth', weights_only=True)
    model.load_state_dict(weights)
    wrapper.load_state_dict(state)
    train(model, wrapper, range(4, 8))
    assert wrapper.loss_scaler.get_scale() == 32
    assert_same(model, whole, rtol=0, atol=0)


def test_a_state_without_a_scaler_is_accepted():
    model, plain = build()
    train(model, plain, range(1))
    _, scaled = build(dtype='float64', loss_scale=2.0)
    scaled.load_state_dict(plain.state_dict())
    assert scaled.loss_scaler.get_scale() == 2


@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [('bfloat16', 0.1), ('float16', 0.01)]
)
def test_autocast_on_a_cpu(dtype, tolerance):
    """Gradients in half precision agree with those in full one roughly."""
    x = torch.linspace(-1, 1, 32).reshape(4, 8)

    def gradients(**kwargs):
        torch.manual_seed(0)
        layer = nn.Linear(8, 3)
        wrapper = AmpTaskGradientOptimWrapper(
            optimizer=torch.optim.SGD(layer.parameters(), lr=1.0), **kwargs
        )
        with wrapper.optim_context(layer):
            y = layer(x)
            used = y.dtype
            y = y.float()
        losses = {
            Task.CLASSIFICATION: y.sin().mean(),
            Task.DOMAIN: -y.cos().mean(),
        }
        before = layer.weight.detach().clone()
        wrapper.update_params(
            attach_task_losses(
                sum(losses.values()),
                TaskLosses(losses, {'video': list(layer.parameters())}),
            )
        )
        return used, before - layer.weight.detach()

    used, half = gradients(
        dtype=dtype,
        projection=dict(type='TaskProjection', rule='pcgrad'),
    )
    _, full = gradients(
        dtype='float32',
        projection=dict(type='TaskProjection', rule='pcgrad'),
    )
    assert used == getattr(torch, dtype)
    assert half.dtype == torch.float32
    assert (half - full).norm() < tolerance * full.norm()
    assert not torch.equal(half, full)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(dtype='float8'), 'optim_wrapper.dtype'),
        (dict(loss_scale='static'), 'optim_wrapper.loss_scale'),
    ],
)
def test_bad_configs_are_explained(kwargs, match):
    layer = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=match):
        AmpTaskGradientOptimWrapper(
            optimizer=torch.optim.SGD(layer.parameters(), lr=1.0), **kwargs
        )
