"""What is not a number must not become an ordinary update."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from mmgmp.engine.optim import (
    AmpTaskGradientOptimWrapper,
    TaskGradientOptimWrapper,
)
from mmgmp.engine.optim.strategies.ratios import (
    domain_ratio,
    semantic_ratio,
    suppression,
)
from mmgmp.registry import MODULATIONS, PROJECTIONS
from mmgmp.structures import Task, attach_task_losses, get_task_losses
from mmgmp.utils.ratios import adaptive_gains

from .toy_strategies import STRATEGIES, StrategyToy, flat_state, toy_data

GMP = dict(
    modulation=dict(type='DecoupledModulation'),
    projection=dict(type='TaskProjection'),
)
ALL = {
    **STRATEGIES,
    'gmp': GMP,
    'gmp-k': dict(GMP, modulation=dict(GMP['modulation'], use_p=False)),
    'gmp-off': dict(modulation=dict(GMP['modulation'], alpha_k=0, alpha_p=0)),
    'unified': dict(modulation=dict(type='UnifiedModulation')),
    'cagp': dict(projection=dict(type='TaskProjection')),
    'reverse-global': dict(
        projection=dict(type='TaskProjection', rule='reverse', scope='global')
    ),
    'fixed-class': dict(
        projection=dict(type='TaskProjection', rule='fixed_class')
    ),
    'variant-u': dict(
        modulation=dict(type='VariantUModulation'),
        projection=dict(type='VariantUProjection'),
    ),
    'later': dict(
        modulation=dict(type='DecoupledModulation', start_epoch=9),
        projection=dict(type='TaskProjection', start_epoch=9),
    ),
}
BAD = [math.nan, math.inf, -math.inf]
VALUES = [
    (Task.CLASSIFICATION, 'video'),
    (Task.CLASSIFICATION, 'audio'),
    (Task.DOMAIN, 'video'),
]


def spoilt_loss(model, seed, bad=None, task=None, modality=None):
    """Ordinary losses, but one confidence of one sample is bad."""
    loss = model.loss(toy_data(16, seed=seed))
    if bad is None:
        return loss
    tasks = get_task_losses(loss)
    confidences = {t: dict(by) for t, by in tasks.confidences.items()}
    confidences[task][modality] = confidences[task][modality].clone()
    confidences[task][modality][3] = bad
    return attach_task_losses(
        loss, dataclasses.replace(tasks, confidences=confidences)
    )


def test_every_registered_strategy_is_tried():
    tried = {part['type'] for parts in ALL.values() for part in parts.values()}
    ours = {
        name
        for registry in (MODULATIONS, PROJECTIONS)
        for name, kind in registry.module_dict.items()
        if kind.__module__.startswith('mmgmp')
    }
    assert tried == ours


@pytest.mark.parametrize('strategy', ALL)
@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize(('task', 'modality'), VALUES)
def test_a_confidence_that_is_not_finite_reaches_every_encoder(
    strategy, bad, task, modality
):
    torch.manual_seed(0)
    model = StrategyToy()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), **ALL[strategy]
    )
    wrapper.update_params(spoilt_loss(model, 0))
    wrapper.update_params(spoilt_loss(model, 1, bad, task, modality))
    for encoder in model.encoders.values():
        assert not encoder[0].weight.isfinite().any()


@pytest.mark.parametrize('strategy', ALL)
def test_a_loss_scaler_skips_the_step_and_nothing_is_remembered(strategy):
    """The steps after it are those of a run that never had it."""

    def run(bad):
        torch.manual_seed(0)
        model = StrategyToy()
        wrapper = AmpTaskGradientOptimWrapper(
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            dtype='float64',
            loss_scale=4.0,
            **ALL[strategy],
        )
        wrapper.update_params(spoilt_loss(model, 0))
        if bad is not None:
            before = copy.deepcopy(model.state_dict())
            wrapper.update_params(
                spoilt_loss(model, 7, bad, Task.CLASSIFICATION, 'audio')
            )
            for name, value in before.items():
                assert torch.equal(model.state_dict()[name], value), name
        memory = {
            name: value.clone() for name, value in flat_state(wrapper).items()
        }
        wrapper.update_params(spoilt_loss(model, 1))
        return model.state_dict(), memory

    state, memory = run(math.nan)
    assert all(value.isfinite().all() for value in state.values())
    assert all(value.isfinite().all() for value in memory.values())


def test_probes_that_are_not_finite_are_not_called_wrong():
    torch.manual_seed(0)
    model = StrategyToy()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), **STRATEGIES['cggm']
    )
    loss = model.loss(toy_data(16))
    tasks = get_task_losses(loss)
    correct = {
        m: x * (math.nan if m == 'audio' else 1)
        for m, x in tasks.statistics['probe_correct'].items()
    }
    wrapper.update_params(
        attach_task_losses(
            loss,
            dataclasses.replace(tasks, statistics={'probe_correct': correct}),
        )
    )
    assert not model.encoders['video'][0].weight.isfinite().any()
    assert all(x.isfinite().all() for x in flat_state(wrapper).values())


@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('bad', BAD)
def test_ratios_and_gains(bad, count):
    values = torch.full((count,), 0.5)
    values[-1] = bad
    for form in (semantic_ratio, domain_ratio):
        assert form(values).isnan().all()
        assert suppression(form(values), 0.5).isnan().all()
    if math.isnan(bad):
        gains = adaptive_gains(values, torch.ones(count), 1.0, 10.0)
        assert gains.isnan().all()
    assert suppression(torch.tensor([math.nan]), 0.0).isnan().all()


def test_without_a_strategy_the_stock_update_stays():
    """Then nothing is decided from the confidences."""
    model = StrategyToy()
    TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1)
    ).update_params(spoilt_loss(model, 0, math.nan, *VALUES[0]))
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_step_can_be_refused_instead():
    """PyTorch's own switch works on what reaches the optimizer."""
    model = StrategyToy()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        clip_grad=dict(max_norm=1.0, error_if_nonfinite=True),
        **GMP,
    )
    with pytest.raises(RuntimeError, match='non-finite'):
        wrapper.update_params(spoilt_loss(model, 0, math.nan, *VALUES[0]))
    assert all(p.isfinite().all() for p in model.parameters())
