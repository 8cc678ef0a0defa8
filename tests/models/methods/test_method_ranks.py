"""Two processes train as one does, with and without the strategy.

What couples the samples of a batch (contrast, batch norm, spectrum, mean
norms, dropout rates) is that of a micro-batch, whichever process it is in:
two ranks equal one process that takes the same micro-batches in turn. Where
nothing couples them, or what does is summed over ranks, two ranks equal one
process with the whole batch.
"""

from __future__ import annotations

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mmgmp.engine.optim import GMPOptimWrapper
from tests.processes import run_ranks

from .toy_methods import (
    METHODS,
    build_model,
    method_config,
    small_batch_for,
    small_encoders,
)

MODALITIES = ('video', 'flow')
STRATEGIES = {'off': dict(modulation=None, projection=None), 'on': {}}
#: Options that leave a method without coupled samples and random masks.
UNCOUPLED = {
    'simmmdg': dict(contrast_weight=0.0),
    'moosa': dict(contrast_weight=0.0, mask_ratio=0.0),
    'cmrf': dict(contrast_weight=0.0, mix_alpha=0.0),
    'jat': dict(entropy_temperature=1e12),
    'mer_dg': dict(gather=True),
    'vrex': dict(anneal_steps=0),
    'group_dro': dict(eta=1.0),
    'fishr': dict(weight=10.0),
}
#: Methods with a state that moves in training only.
REMEMBERING = ('group_dro', 'fishr')
STEPS, SAMPLES, WORLD = 2, 6, 2


def build(name, **options):
    config = dict(method_config(name)['methods'][0], **options)
    model = build_model(
        name,
        MODALITIES,
        methods=[config],
        encoders=small_encoders(MODALITIES),
    ).double()
    if model._teacher is not None:
        # A distance of exactly zero would have no direction.
        for parameter in model._teacher.model.double().parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    for module in model.modules():
        # Running statistics depend on the order of the micro-batches.
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.0
    return model


def part_of(name, step, rows):
    inputs, samples = small_batch_for(name, MODALITIES, seed=step)
    views = len(samples) // SAMPLES
    rows = [v * SAMPLES + row for v in range(views) for row in rows]
    return dict(
        inputs={m: x[rows].double() for m, x in inputs.items()},
        data_samples=[samples[row] for row in rows],
    )


def train(name, strategy, rank=None, whole=False, **options):
    """Parameters after some steps; both halves in turn without a rank."""
    model = build(name, **options)
    if options:
        model.eval()
    if name in REMEMBERING:
        model.methods.train()
    driven = (
        model
        if rank is None
        else MMDistributedDataParallel(model, device_ids=None)
    )
    halves = list(torch.arange(SAMPLES).chunk(WORLD))
    turns = enumerate(halves) if rank is None else [(rank, halves[rank])]
    turns = [(0, torch.arange(SAMPLES))] if whole else list(turns)
    wrapper = GMPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1e-2),
        accumulative_counts=len(turns),
        **STRATEGIES[strategy],
    )
    for step in range(STEPS):
        for turn, rows in turns:
            data = part_of(name, step, rows.tolist())
            torch.manual_seed(10 * step + turn)  # dropout and other masks
            driven.train_step(data, wrapper)
    return {n: p.detach().clone() for n, p in model.named_parameters()}


def train_all(rank, world_size):
    assert world_size == WORLD
    return {
        strategy: {
            **{name: train(name, strategy, rank) for name in METHODS},
            **{
                f'{name} uncoupled': train(name, strategy, rank, **options)
                for name, options in UNCOUPLED.items()
            },
        }
        for strategy in STRATEGIES
    }


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_ranks(train_all, WORLD, tmp_path_factory.mktemp('ranks'))


def assert_same(results, expected):
    for result in results:
        assert result.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(
                result[name], value, rtol=1e-7, atol=1e-9, msg=name
            )


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('name', METHODS)
def test_two_ranks_equal_two_micro_batches(ranks, name, strategy):
    expected = train(name, strategy)
    start = {n: p.detach() for n, p in build(name).named_parameters()}
    for m in MODALITIES:
        prefix = f'encoders.{m}.'
        assert any(
            not torch.allclose(value, start[n], rtol=1e-4, atol=1e-7)
            for n, value in expected.items()
            if n.startswith(prefix)
        )
    assert_same([r[strategy][name] for r in ranks], expected)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('name', UNCOUPLED)
def test_uncoupled_samples_equal_one_batch(ranks, name, strategy):
    expected = train(name, strategy, whole=True, **UNCOUPLED[name])
    assert_same([r[strategy][f'{name} uncoupled'] for r in ranks], expected)


@pytest.mark.parametrize('name', METHODS)
def test_the_strategy_makes_a_difference(ranks, name):
    off, on = (ranks[0][strategy][name] for strategy in STRATEGIES)
    assert any(
        not torch.allclose(off[n], on[n])
        for n in off
        if n.startswith('encoders.')
    )
