"""A toy recognizer for the methods that gradient strategies bring."""

from __future__ import annotations

import torch

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

from .toy_methods import HEADS


def build(modalities=('video', 'audio'), **kwargs):
    torch.manual_seed(0)
    kwargs.setdefault('unimodal_heads', HEADS)
    return MODELS.build(toy_recognizer(modalities, **kwargs))


def three_steps(model, modalities=('video', 'audio'), **strategy):
    """Train, and check that everything stays finite and moves."""
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    wrapper = TaskGradientOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-3), **strategy
    )
    for seed in range(3):
        inputs, data_samples = toy_batch(6, modalities, seed=seed)
        logged = model.train_step(
            dict(inputs=inputs, data_samples=data_samples), wrapper
        )
        assert logged['loss'].isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        if name.endswith('output.weight'):
            assert not torch.equal(parameter, before[name]), name
    return wrapper
