"""Compiled, channels-last, checkpointed and frozen encoders: one update."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from mmengine.runner.activation_checkpointing import (
    turn_on_activation_checkpointing,
)
from torch import nn

from mmgmp.engine.optim import GMPOptimWrapper, TaskGradientOptimWrapper
from mmgmp.registry import MODELS
from mmgmp.structures import get_task_losses
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

from .toy import ToyModel, toy_data

MODALITIES = ('audio', 'flow')


class Smooth(nn.Module):
    """What the toy has there, with something to keep for the backward."""

    def forward(self, x):
        return torch.sin(torch.tanh(x) * 1.0).arcsin()


def build(encoder=None, flow=None):
    config = toy_recognizer(MODALITIES)
    for part in config['encoders'].values():
        part.update(encoder or {})
    config['encoders']['flow']['backbone'].update(flow or {})
    torch.manual_seed(0)
    return MODELS.build(config).double().train()


def step(model, **kwargs):
    """Train on one batch; returns the weights and the buffers."""
    wrapper = GMPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1e-2), **kwargs
    )
    inputs, samples = toy_batch(4, MODALITIES)
    inputs = {m: x.double() for m, x in inputs.items()}
    model.train_step(dict(inputs=inputs, data_samples=samples), wrapper)
    return copy.deepcopy(model.state_dict())


def assert_same(first, second, rtol=1e-9, atol=1e-11):
    for name in second:
        torch.testing.assert_close(
            first[name], second[name], rtol=rtol, atol=atol, msg=name
        )


@pytest.mark.parametrize('frozen', [-1, 2])
@pytest.mark.parametrize(
    'option', ['channels_last', 'with_cp'], ids=lambda name: name
)
def test_an_encoder_option_leaves_the_update_alone(option, frozen):
    plain = step(build(dict(frozen_stages=frozen)))
    special = step(build({'frozen_stages': frozen, option: True}))
    assert_same(special, plain)


def test_strides_of_the_gradients_are_those_of_the_weights():
    model = build(dict(channels_last=True))
    inputs, samples = toy_batch(4, MODALITIES)
    losses = model(
        {m: x.double() for m, x in inputs.items()}, samples, mode='loss'
    )
    wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    strides = []
    wrapper.optimizer.register_step_pre_hook(
        lambda o, a, k: strides.extend(
            (p.stride(), p.grad.stride())
            for p in model.parameters()
            if p.grad is not None and p.ndim > 3 and p.shape[1] > 1
        )
    )
    wrapper.update_params(model.parse_losses(losses)[0])
    assert strides
    assert all(own == gradient for own, gradient in strides)


def test_frozen_stages_get_no_gradient_and_keep_their_weights():
    model = build(dict(frozen_stages=2))
    before = copy.deepcopy(model.state_dict())
    after = step(model)
    frozen = 'encoders.audio.backbone.layer1.0.conv1.conv.weight'
    trained = 'encoders.audio.backbone.layer4.0.conv1.conv.weight'
    assert torch.equal(after[frozen], before[frozen])
    assert not torch.equal(after[trained], before[trained])


@pytest.mark.parametrize('backend', ['eager', 'aot_eager'])
def test_compiled_encoders(backend):
    def train(compiled):
        torch.manual_seed(0)
        model = ToyModel()
        if compiled:
            for encoder in model.encoders.values():
                # A module of PyTorch's own would be left as it is.
                encoder[1] = Smooth()
                encoder[1].compile(backend=backend)
        wrapper = GMPOptimWrapper(
            torch.optim.Adam(model.parameters(), lr=1e-2),
            accumulative_counts=2,
        )
        for seed in range(4):
            wrapper.update_params(model.loss(toy_data(8, seed=seed)))
        return model.state_dict()

    torch._dynamo.reset()
    assert_same(train(True), train(False))
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0


@pytest.mark.parametrize('kind', ['with_cp', 'activation_checkpointing'])
@pytest.mark.parametrize(
    'strategy',
    [
        {},
        dict(projection=None),
        dict(level='feature'),
        dict(modulation=None, projection=None),
    ],
    ids=['gmp', 'igdm', 'feature', 'base'],
)
def test_reentrant_checkpointing_is_explained(kind, strategy):
    if kind == 'with_cp':
        model = build(flow=dict(with_cp=True, depth=50))
    else:
        model = build()
        turn_on_activation_checkpointing(
            model, ['encoders.audio.backbone.layer4']
        )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with pytest.raises(RuntimeError, match='with_cp=True of the Modality'):
            step(model, **strategy)


def test_other_errors_of_the_backward_pass_come_through():
    model = ToyModel()
    loss = model.loss(toy_data(4))
    get_task_losses(loss)
    loss.backward()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1)
    )
    with pytest.raises(RuntimeError, match='a second time'):
        wrapper.update_params(loss)
