"""``acts_on='update'``: an encoder's step is scaled, not its gradient.

That ranks and micro-batches equal one batch is in ``test_distributed``.
"""

from __future__ import annotations

import copy
import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmgmp.engine.optim import (
    AmpTaskGradientOptimWrapper,
    GMPOptimWrapper,
    TaskGradientOptimWrapper,
)
from mmgmp.engine.optim.strategies.base import Modulation
from mmgmp.structures import (
    Coefficients,
    Task,
    TaskLosses,
    attach_task_losses,
)

from .strategies.test_not_finite import ALL
from .strategies.toy_strategies import (
    StrategyToy,
    assert_same,
    flat_state,
    take,
    toy_data,
)

GMP = ALL['gmp']
#: Their factors are 1 in the toy, or the two tasks do not conflict there.
PLAIN = {'gmp-off', 'later'}
SGD = torch.optim.SGD
Adam = torch.optim.Adam


class Factors(Modulation):
    """Factors that are given, one for each encoder."""

    def __init__(self, k=(1.0,), p=(1.0,)):
        super().__init__()
        self.k = torch.tensor(k, dtype=torch.float64)
        self.p = torch.tensor(p, dtype=torch.float64)

    def coefficients(self, signals):
        return Coefficients(self.k, self.p, torch.ones_like(self.k))


def step(encoders, g_c, g_d, k=1.0, p=1.0, optimizer=SGD, **options):
    """One step on losses with these gradients; returns the wrapper.

    Args:
        encoders: Parameter by modality, or that of the only one.
        g_c: Gradient of the classification, of each encoder; None is none.
        g_d: That of the domain task.
        k: Factor of the first, for each encoder or for all.
        p: Factor of the second.
        optimizer: An optimizer, or its class for a rate of 1.
        options: Of the wrapper.
    """
    if not isinstance(encoders, dict):
        encoders, g_c, g_d = {'video': encoders}, [g_c], [g_d]
    count = len(encoders)
    if isinstance(optimizer, type):
        optimizer = optimizer(list(encoders.values()), lr=1.0)
    wrapper = options.pop('wrapper', None) or TaskGradientOptimWrapper(
        optimizer,
        Factors(*(x if isinstance(x, list) else [x] * count for x in (k, p))),
        **{'acts_on': 'update', **options},
    )
    losses = {}
    for task, gradients in (
        (Task.CLASSIFICATION, g_c),
        (Task.DOMAIN, g_d),
    ):
        terms = [
            (w * torch.tensor(g, dtype=w.dtype)).sum()
            for w, g in zip(encoders.values(), gradients, strict=True)
            if g is not None
        ]
        losses[task] = sum(terms) if terms else torch.zeros(())
    wrapper.update_params(
        attach_task_losses(
            sum(losses.values()),
            TaskLosses(losses, {m: [w] for m, w in encoders.items()}),
        )
    )
    return wrapper


def scales(wrapper):
    return [
        value
        for name, value in wrapper.read_diagnostics().items()
        if name.startswith('update_scale')
    ]


def zeros(size=2, dtype=torch.float32):
    return nn.Parameter(torch.zeros(size, dtype=dtype))


def train(
    strategy=GMP,
    optimizer=Adam,
    steps=4,
    micro=1,
    **options,
):
    """Train the toy; returns its state and the scales by step."""
    torch.manual_seed(0)
    model = StrategyToy()
    if isinstance(optimizer, type):
        optimizer = optimizer(model.parameters(), lr=0.05)
    else:
        optimizer = optimizer(model.parameters())
    kind = options.pop('kind', TaskGradientOptimWrapper)
    wrapper = kind(
        optimizer=optimizer,
        accumulative_counts=micro,
        **copy.deepcopy(strategy),
        **{'acts_on': 'update', **options},
    )
    seen = []
    for number in range(steps):
        for part in torch.arange(16).chunk(micro):
            data = take(toy_data(16, seed=number), part)
            wrapper.update_params(model.loss(data, extra=True))
        seen += scales(wrapper)
    state = {**model.state_dict(), **flat_state(wrapper)}
    return state, seen


# -- by hand ------------------------------------------------------------


@pytest.mark.parametrize('acts_on', ['gradient', 'update'])
def test_sgd_by_hand(acts_on):
    w = zeros()
    wrapper = step(w, [3.0, 0.0], [0.0, 4.0], k=0.5, acts_on=acts_on)
    torch.testing.assert_close(w.data, torch.tensor([-1.5, -4.0]))
    expected = [math.hypot(1.5, 4) / 5] if acts_on == 'update' else []
    assert scales(wrapper) == pytest.approx(expected)


def test_adam_by_hand():
    """It divides k out of the gradient, but not of the step."""
    moved = {}
    for acts_on in ('gradient', 'update'):
        w = zeros(1)
        step(w, [2.0], [0.0], 0.25, optimizer=Adam([w], 0.1), acts_on=acts_on)
        moved[acts_on] = -w.item()
    assert moved == pytest.approx({'gradient': 0.1, 'update': 0.025})


def test_decoupled_weight_decay_is_part_of_the_step():
    w = nn.Parameter(torch.ones(1))
    adam = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    step(w, [2.0], [0.0], k=0.25, optimizer=adam)
    assert w.item() == pytest.approx(1 - 0.25 * (0.1 * 0.5 + 0.1))


def test_every_encoder_has_its_own_scale_and_a_head_has_none():
    encoders = {'video': zeros(1), 'audio': zeros(1)}
    head = nn.Parameter(torch.ones(1))
    optimizer = Adam([*encoders.values(), head], 0.1)
    head.grad = torch.ones(1)
    wrapper = step(
        encoders, [[2.0], [2.0]], [[0.0], [0.0]], [0.25, 0.5],
        optimizer=optimizer,
    )  # fmt: skip
    moved = [-w.item() for w in encoders.values()]
    assert moved == pytest.approx([0.025, 0.05])
    assert head.item() == pytest.approx(0.9)
    assert scales(wrapper) == pytest.approx([0.25, 0.5])


# -- the plain step -------------------------------------------------------


OPTIMIZERS = {
    'sgd': lambda p: SGD(p, 0.05, momentum=0.9, weight_decay=0.1),
    'adam': lambda p: Adam(p, 0.01),
    'adamw': lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
}


@pytest.mark.parametrize('optimizer', OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_without_modulation_or_conflict_no_bit_changes(optimizer):
    """Three tasks apart whose factors are 1, and all of them in one pass."""
    fair = dict(modulation=Factors((1.0, 1.0), (1.0, 1.0)))
    whole = dict(fair, projection=dict(type='TaskProjection', start_epoch=9))
    plain, _ = train(whole, optimizer, acts_on='gradient')
    same, seen = train(whole, optimizer)
    assert seen == [1.0] * 8
    assert_same(same, plain, 0, 0)
    torch.manual_seed(0)
    model = StrategyToy()
    stock = OptimWrapper(optimizer(model.parameters()))
    for number in range(4):
        stock.update_params(model.loss(toy_data(16, seed=number), extra=True))
    same, _ = train({}, optimizer)
    assert_same(same, model.state_dict(), 0, 0)


def test_momentum_and_a_constant_scale_equal_scaled_gradients():
    class Damped(Factors):
        def coefficients(self, signals):
            return Coefficients(self.k, self.k, self.k)

    def optimizer(parameters):
        return SGD(parameters, 0.05, momentum=0.9)

    damped = dict(modulation=Damped((0.5, 0.2)))
    first, _ = train(damped, optimizer, acts_on='gradient')
    second, seen = train(damped, optimizer)
    assert seen == pytest.approx([0.5, 0.2] * 4)
    assert_same(second, first)


@pytest.mark.parametrize('strategy', ALL)
def test_under_sgd_it_is_the_paper_s_way(strategy):
    first, _ = train(ALL[strategy], SGD, acts_on='gradient')
    second, seen = train(ALL[strategy], SGD)
    assert_same(second, first, rtol=1e-9)
    assert len(seen) == 8
    # Otherwise the comparison would compare nothing.
    assert (seen == pytest.approx([1.0] * 8, abs=1e-9)) is (strategy in PLAIN)


def test_under_adam_it_is_another_way():
    first, _ = train(acts_on='gradient')
    second, _ = train()
    name = 'encoders.video.0.weight'
    assert not torch.allclose(first[name], second[name], rtol=1e-3)


# -- mechanics ------------------------------------------------------------


@pytest.mark.parametrize('strategy', ['gmp', 'unified', 'cggm'])
def test_micro_batches_equal_one_batch(strategy):
    assert_same(train(ALL[strategy], micro=4)[0], train(ALL[strategy])[0])


def test_a_resumed_run_equals_a_straight_one_bit_for_bit(tmp_path):
    """Also from within a window; the scale is no state."""
    straight, _ = train(ALL['agm'], steps=4, micro=2)

    def build():
        torch.manual_seed(0)
        model = StrategyToy()
        return model, TaskGradientOptimWrapper(
            Adam(model.parameters(), lr=0.05),
            accumulative_counts=2,
            acts_on='update',
            **ALL['agm'],
        )

    model, wrapper = build()
    for number in range(8):
        if number == 3:
            path = tmp_path / 'state.pth'
            torch.save((model.state_dict(), wrapper.state_dict()), path)
            weights, state = torch.load(path, weights_only=True)
            model, wrapper = build()
            model.load_state_dict(weights)
            wrapper.load_state_dict(state)
        part = torch.arange(8) + 8 * (number % 2)
        data = take(toy_data(16, seed=number // 2), part)
        wrapper.update_params(model.loss(data, extra=True))
    assert_same({**model.state_dict(), **flat_state(wrapper)}, straight, 0, 0)


@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=0.1)])
def test_the_loss_scale_does_not_matter(clip_grad):
    options = dict(clip_grad=clip_grad)
    plain, seen = train(**options)
    amp = dict(kind=AmpTaskGradientOptimWrapper, dtype='float64')
    scaled, found = train(**options, **amp, loss_scale=65536.0)
    assert found == seen
    assert_same(scaled, plain, 0, 0)


def half_precision(bad_steps=(), optimizer=torch.optim.AdamW):
    """Layer, wrapper and what is seen of training it under float16."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 3)
    wrapper = AmpTaskGradientOptimWrapper(
        optimizer=optimizer(layer.parameters(), lr=0.01, weight_decay=0.1),
        modulation=Factors((0.3,)),
        projection=dict(type='TaskProjection', rule='pcgrad'),
        acts_on='update',
        dtype='float16',
        loss_scale=dict(init_scale=2.0**10),
    )
    x, seen = torch.linspace(-1, 1, 32).reshape(4, 8), []
    for number in range(4):
        with wrapper.optim_context(layer):
            y = layer(x)
        assert y.dtype == torch.float16
        # 1e3 times 2^10 is too large for a gradient in half precision.
        large = 1e3 if number in bad_steps else 1.0
        losses = {
            Task.CLASSIFICATION: large * y.float().sin().sum(),
            Task.DOMAIN: -y.float().cos().mean(),
        }
        wrapper.update_params(
            attach_task_losses(
                sum(losses.values()),
                TaskLosses(losses, {'video': list(layer.parameters())}),
            )
        )
        seen.append(
            (layer.weight.detach().clone(), wrapper.loss_scaler.get_scale())
        )
    return seen


def test_an_overflow_in_float16_moves_nothing():
    (first, _), (skipped, scale), (third, _), _ = half_precision((1,))
    assert scale == 2.0**9
    assert torch.equal(skipped, first)
    assert not torch.equal(third, skipped)
    assert third.isfinite().all()
    (_, _), (second, scale), *_ = half_precision()
    assert scale == 2.0**10
    assert not torch.equal(second, first)


def test_clipping_acts_on_what_the_optimizer_is_given():
    """G = (1.5, 4), s = 0.85; G / s has length 5 and is cut to 1."""
    w = zeros()
    clip_grad = dict(max_norm=1.0)
    wrapper = step(w, [3.0, 0.0], [0.0, 4.0], k=0.5, clip_grad=clip_grad)
    torch.testing.assert_close(w.data, torch.tensor([-0.3, -0.8]))
    assert wrapper.read_diagnostics()['grad_norm'] == pytest.approx(5)


def test_parameters_of_several_types_share_one_scale():
    weights = [zeros(1, torch.float64), zeros(1, torch.bfloat16), zeros(1)]
    loss = sum(
        w.double().sum() * g for w, g in zip(weights, (2, 1, 2), strict=True)
    )
    losses = {Task.CLASSIFICATION: loss, Task.DOMAIN: 0 * loss}
    wrapper = TaskGradientOptimWrapper(
        SGD(weights, lr=1.0), Factors((0.5,)), acts_on='update'
    )
    wrapper.update_params(
        attach_task_losses(loss, TaskLosses(losses, {'video': weights}))
    )
    assert [w.item() for w in weights] == [-1.0, -0.5, -1.0]
    assert scales(wrapper) == [0.5]


# -- where there is little to compare -------------------------------------


def test_an_encoder_without_a_task_is_left_alone():
    encoders = {'video': zeros(1), 'audio': nn.Parameter(torch.ones(1))}
    adam = torch.optim.AdamW(encoders.values(), lr=0.1, weight_decay=0.5)
    wrapper = step(encoders, [[2.0], None], [[0.0], None], 0.25, 1.0, adam)
    assert encoders['audio'].item() == 1
    assert encoders['video'].item() == pytest.approx(-0.025)
    assert scales(wrapper) == [0.25, 1.0]


def test_a_window_without_any_task_is_left_alone():
    w = nn.Parameter(torch.ones(1))
    wrapper = step(w, None, None, 0.25)
    assert w.item() == 1
    assert scales(wrapper) == [1.0]


@pytest.mark.parametrize(
    'rest', [0.0, 2.0**-24], ids=['exactly', 'but-for-rounding']
)
def test_tasks_that_cancel_leave_the_combined_gradient(rest):
    """Nothing is left to compare with: the optimizer is given G itself."""
    w = zeros(1)
    adam = Adam([w], lr=0.1)
    wrapper = step(w, [1.0], [rest - 1.0], 0.5, optimizer=adam)
    assert scales(wrapper) == [1.0]
    assert w.item() == pytest.approx(0.1)


def test_tasks_that_nearly_cancel_give_a_large_scale():
    w = zeros(1, torch.float64)
    wrapper = step(w, [1.0], [-0.99], 0.5)
    assert scales(wrapper) == pytest.approx([49.0])
    assert w.item() == pytest.approx(0.49)


@pytest.mark.parametrize('k', [0.0, 1e-42, 1e-30])
def test_a_vanishing_gradient_is_a_step_of_nothing(k):
    w = nn.Parameter(torch.ones(1))
    adam = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    wrapper = step(w, [1.0], [0.0], k, optimizer=adam)
    assert w.item() == 1
    assert scales(wrapper) == pytest.approx([k if k > 1e-38 else 0.0])
    # What it remembers is finite: the next step is an ordinary one.
    step(w, [1.0], [0.0], wrapper=wrapper)
    assert w.isfinite()


@pytest.mark.parametrize('size', [1e-30, 1e30])
def test_sizes_whose_squares_are_out_of_range(size):
    w = zeros()
    wrapper = step(w, [3 * size, 0.0], [0.0, 4 * size], k=0.5)
    torch.testing.assert_close(w.data / size, torch.tensor([-1.5, -4.0]))
    assert scales(wrapper) == pytest.approx([math.hypot(1.5, 4) / 5])


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_what_is_not_finite_is_never_masked(bad):
    w = nn.Parameter(torch.ones(2))
    wrapper = step(w, [bad, 1.0], [0.0, 1.0], k=0.5)
    assert not w[0].isfinite()
    assert scales(wrapper) == [1.0]


# -- options --------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(acts_on='step'), r"acts_on.*'gradient', 'update'.*got 'step'"),
        (
            dict(acts_on='update', level='feature'),
            "got level='feature'; set optim_wrapper.level='parameter'",
        ),
    ],
    ids=['unknown', 'feature-level'],
)
def test_what_cannot_be_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        GMPOptimWrapper(SGD([zeros()], lr=1.0), **options)


def test_the_default_is_the_paper_s_way():
    w = zeros(1)
    wrapper = GMPOptimWrapper(Adam([w], lr=0.1), None, None)
    step(w, [1.0], [0.0], wrapper=wrapper)
    assert scales(wrapper) == []


def test_effective_lambda_is_the_quotient_that_adam_keeps():
    encoders = {'video': zeros(), 'audio': zeros()}
    wrapper = step(
        encoders,
        [[3.0, 4.0], [1.0, 0.0]],
        [[0.0, 2.0], [3.0, 0.0]],
        [0.5, 1.0],
        [1.0, 0.2],
    )
    seen = wrapper.read_diagnostics()
    found = [seen[f'effective_lambda_{m}'] for m in encoders]
    assert found == pytest.approx([2 / 2.5, 0.6])
