"""What holds for every strategy that GMP is compared with."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub

from mmgmp.engine.optim import (
    AmpTaskGradientOptimWrapper,
    TaskGradientOptimWrapper,
)
from mmgmp.registry import MODULATIONS as REGISTRY
from tests.processes import run_ranks

from .toy_strategies import (
    MODULATIONS,
    STRATEGIES,
    StrategyToy,
    assert_same,
    flat_state,
    make,
    signals,
    take,
    toy_data,
    train,
)


@pytest.fixture
def epoch():
    hub = MessageHub.get_current_instance()

    def set_epoch(value):
        hub.update_info('epoch', value)

    yield set_epoch
    set_epoch(0)


def train_all(rank: int, world_size: int):
    return {
        name: train(name, rank=rank, world_size=world_size)
        for name in STRATEGIES
    }


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_ranks(train_all, 2, tmp_path_factory.mktemp('ranks'))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_two_ranks_equal_one(ranks, strategy):
    alone = train(strategy)
    for result in ranks:
        assert_same(result[strategy], alone)
    assert_same(ranks[0][strategy], ranks[1][strategy], 0, 0)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_micro_batches_equal_one_batch(strategy):
    assert_same(train(strategy, micro=4), train(strategy))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_the_strategy_changes_the_update(strategy):
    """Otherwise the comparisons above would compare nothing."""
    model = StrategyToy()
    state = copy.deepcopy(model.state_dict())
    results = []
    for parts in ({}, STRATEGIES[strategy]):
        model.load_state_dict(state)
        wrapper = TaskGradientOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=0.1), **parts
        )
        for step in range(3):
            wrapper.update_params(model.loss(toy_data(16, seed=step)))
        results.append(copy.deepcopy(model.state_dict()))
    assert any(
        not torch.allclose(results[0][name], results[1][name])
        for name in state
        if name.startswith('encoders')
    )


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_resumed_run_equals_a_straight_one_bit_for_bit(strategy, tmp_path):
    straight = train(strategy, steps=6)
    torch.manual_seed(0)
    model = StrategyToy()
    wrapper = make(strategy, model)
    for step in range(6):
        if step == 3:
            path = tmp_path / 'state.pth'
            torch.save((model.state_dict(), wrapper.state_dict()), path)
            weights, state = torch.load(path, weights_only=True)
            model = StrategyToy()
            model.load_state_dict(weights)
            wrapper = make(strategy, model)
            wrapper.load_state_dict(state)
        wrapper.update_params(model.loss(toy_data(16, seed=step)))
    assert_same({**model.state_dict(), **flat_state(wrapper)}, straight, 0, 0)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_outside_its_window_a_strategy_is_the_identity(strategy, epoch):
    windowed = {
        part: dict(config, start_epoch=2, end_epoch=3)
        for part, config in STRATEGIES[strategy].items()
    }
    for now, is_identity in ((1, True), (2, False), (3, False), (4, True)):
        epoch(now)
        results = []
        for parts in ({}, windowed):
            torch.manual_seed(0)
            model = StrategyToy()
            wrapper = TaskGradientOptimWrapper(
                torch.optim.SGD(model.parameters(), lr=0.1), **parts
            )
            for step in range(3):
                wrapper.update_params(model.loss(toy_data(16, seed=step)))
            results.append(model.state_dict())
        same = all(
            torch.allclose(results[0][name], results[1][name], atol=1e-14)
            for name in results[0]
        )
        assert same is is_identity, now


@pytest.mark.parametrize('strategy', ['agm', 'cggm'])
def test_running_statistics_go_on_outside_the_window(strategy, epoch):
    model = StrategyToy()
    config = dict(MODULATIONS[strategy], start_epoch=5)
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), config
    )
    wrapper.update_params(model.loss(toy_data(16)))
    assert flat_state(wrapper)


@pytest.mark.parametrize('name', MODULATIONS)
@pytest.mark.parametrize(
    'ratios',
    [(1.0, 1.0), (2.0, 0.5), (1e12, 1e-12), (1.0, 1.0, 1.0)],
    ids=['balanced', 'one-ahead', 'extreme', 'three'],
)
def test_factors_are_finite_and_follow_a_swap(name, ratios):
    means = dict(
        share_cross_entropy=list(ratios), probe_correct=[0.5] * len(ratios)
    )
    first = REGISTRY.build(MODULATIONS[name]).factors(signals(ratios, **means))
    assert first.isfinite().all()
    assert (first >= 0).all()
    if len(set(ratios)) == 1 and name != 'cggm':
        assert torch.equal(first, torch.ones_like(first))
    swapped = {key: value[::-1] for key, value in means.items()}
    second = REGISTRY.build(MODULATIONS[name]).factors(
        signals(ratios[::-1], **swapped)
    )
    torch.testing.assert_close(second, first.flip(0))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_non_finite_gradients_are_never_masked(strategy):
    model = StrategyToy()
    wrapper = make(strategy, model)
    inputs, labels, domains = toy_data(16)
    inputs['video'][0, 0] = float('nan')
    wrapper.update_params(model.loss((inputs, labels, domains)))
    weight = model.encoders['video'][0].weight
    assert not weight.isfinite().all()


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_an_empty_micro_batch_changes_nothing(strategy):
    results = []
    for sizes in ((16,), (0, 16)):
        torch.manual_seed(0)
        model = StrategyToy()
        wrapper = make(strategy, model, micro=len(sizes))
        first = 0
        for size in sizes:
            index = torch.arange(first, first + size)
            wrapper.update_params(model.loss(take(toy_data(16), index)))
            first += size
        results.append({**model.state_dict(), **flat_state(wrapper)})
    assert_same(*results)


@pytest.mark.parametrize(
    ('modulation', 'kwargs', 'match'),
    [
        ('ogm', dict(alpha=1.5), r'alpha must be in \[0, 1\], got 1.5'),
        ('ogm', dict(apply_to='all'), "'total', 'cls'.*got 'all'"),
        ('agm', dict(alpha=-1), 'alpha must be >= 0, got -1'),
        ('cggm', dict(rho_s=0), 'rho_s must be > 0, got 0'),
        ('cggm', dict(coeff_range=(2, 0)), r'coeff_range.*got \(2, 0\)'),
        ('ogm', dict(start_epoch=3, end_epoch=1), 'end_epoch'),
    ],
)
def test_bad_arguments_are_explained(modulation, kwargs, match):
    with pytest.raises(ValueError, match=match):
        REGISTRY.build(dict(MODULATIONS[modulation], **kwargs))


@pytest.mark.parametrize('strategy', ['ogm', 'agm'])
def test_a_state_of_another_strategy_is_refused(strategy):
    model = StrategyToy()
    state = make('cggm', model)
    state.update_params(model.loss(toy_data(16)))
    with pytest.raises(ValueError, match='resume with'):
        make(strategy, model).load_state_dict(state.state_dict())


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_loss_scaling_leaves_the_update_alone(strategy):
    results = []
    for kind, kwargs in (
        (TaskGradientOptimWrapper, {}),
        (
            AmpTaskGradientOptimWrapper,
            dict(dtype='float64', loss_scale=65536.0),
        ),
    ):
        torch.manual_seed(0)
        model = StrategyToy()
        wrapper = kind(
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            clip_grad=dict(max_norm=0.8),
            **STRATEGIES[strategy],
            **kwargs,
        )
        for step in range(3):
            wrapper.update_params(model.loss(toy_data(16, seed=step)))
        results.append({**model.state_dict(), **flat_state(wrapper)})
    # The deviation of the noise has a floor of 1e-8 that does not scale.
    rtol = 1e-4 if 'ge' in strategy else 1e-10
    assert_same(*results, rtol=rtol)
