"""What holds for the combined gradient whatever the task gradients are.

100 examples each; ``HYPOTHESIS_PROFILE=nightly`` takes many more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mmengine.logging import MMLogger
from torch import nn

from mmgmp.engine.optim import (
    AmpTaskGradientOptimWrapper,
    TaskGradientOptimWrapper,
)
from mmgmp.structures import Task, TaskLosses, attach_task_losses

RULES = ('cagp', 'fixed_class', 'fixed_domain', 'pcgrad', 'reverse')
SCOPES = ('modality', 'global')
TINY = float(np.finfo(np.float32).tiny)
#: Rounding of the factors and of their application, in units of the result.
TOLERANCE = 1e-9


@pytest.fixture(autouse=True, scope='module')
def silence():
    """No line per example."""
    logger = MMLogger.get_current_instance()
    handlers, logger.handlers = logger.handlers, []
    yield
    logger.handlers = handlers


@dataclass(frozen=True)
class Case:
    """Raw gradients ``(M, P)`` and confidences ``(M, N)``."""

    g_c: np.ndarray
    g_d: np.ndarray
    q: np.ndarray
    c: np.ndarray


@st.composite
def cases(draw, fewest=1):
    m, p, n = (
        draw(st.integers(*span)) for span in ((fewest, 3), (1, 5), (1, 4))
    )
    unit = st.floats(-1, 1, allow_subnormal=False).map(lambda x: round(x, 3))
    probability = st.floats(1e-6, 1)

    def array(shape, elements):
        count = math.prod(shape)
        values = draw(st.lists(elements, min_size=count, max_size=count))
        return np.array(values).reshape(shape)

    def gradient():
        exponent = draw(st.sampled_from([-12, -6, -1, 0, 0, 0, 3, 9]))
        return array((m, p), unit) * 10.0**exponent

    return Case(
        gradient(),
        gradient(),
        array((m, n), probability),
        array((m, n), probability),
    )


def combine(case, rule=None, scope='modality', modulate=True, scale=None):
    """Gradient that the optimizer is given, ``(M, P)``."""
    names = [f'modality{i}' for i in range(len(case.g_c))]
    encoders = {
        name: nn.Parameter(torch.zeros(case.g_c.shape[1]).double())
        for name in names
    }
    losses = {
        task: sum(
            (p * torch.from_numpy(g)).sum()
            for p, g in zip(encoders.values(), gradients, strict=True)
        )
        for task, gradients in (
            (Task.CLASSIFICATION, case.g_c),
            (Task.DOMAIN, case.g_d),
        )
    }
    confidences = {
        task: dict(zip(names, torch.from_numpy(values), strict=True))
        for task, values in (
            (Task.CLASSIFICATION, case.q),
            (Task.DOMAIN, case.c),
        )
    }
    options = dict(
        optimizer=torch.optim.SGD(encoders.values(), lr=1.0),
        modulation=dict(type='DecoupledModulation') if modulate else None,
        projection=rule
        and dict(type='TaskProjection', rule=rule, scope=scope),
    )
    wrapper = (
        TaskGradientOptimWrapper(**options)
        if scale is None
        else AmpTaskGradientOptimWrapper(
            dtype='float64', loss_scale=scale, **options
        )
    )
    wrapper.update_params(
        attach_task_losses(
            sum(losses.values()),
            TaskLosses(
                losses, {m: [p] for m, p in encoders.items()}, confidences
            ),
        )
    )
    return -np.stack([p.detach().numpy() for p in encoders.values()])


def coefficients(case, modulate=True):
    """Ratios and coefficients, literally, modality by modality."""
    s, t = case.q.sum(1), case.c.sum(1)
    count = len(s)
    rho, sigma = np.ones(count), np.ones(count)
    if count > 1:
        for i in range(count):
            rho[i] = s[i] / np.delete(s, i).mean()
            sigma[i] = np.delete(t, i).mean() / t[i]
    if not modulate:
        return rho, sigma, np.ones(count), np.ones(count)
    k = np.where(rho > 1, 1 - np.tanh(0.5 * rho), 1.0)
    p = np.where(sigma > 1, 1 - np.tanh(0.5 * sigma), 1.0)
    return rho, sigma, k, p


def near_a_decision(case):
    """Whether rounding could tip a comparison."""
    rho, sigma, _, _ = coefficients(case)
    dots = (case.g_c * case.g_d).sum(1)
    sizes = np.abs(case.g_c * case.g_d).sum(1)
    slack = 1e-9
    ties = np.abs(np.stack([rho - 1, sigma - 1, rho - sigma])) < slack
    flat = (np.abs(dots) < slack * sizes) & (dots != 0)
    total = abs(dots.sum()) < slack * sizes.sum()
    return (ties.any() and len(rho) > 1) or flat.any() or total


def near_underflow(case, factor=1.0):
    """The guard against underflow is the one thing that knows a scale."""
    _, _, k, p = coefficients(case)
    squares = np.stack(
        [
            (w[:, None] * factor * g) ** 2
            for w, g in ((k, case.g_c), (p, case.g_d))
        ]
    ).sum(2)
    return ((squares > 0) & (squares < 1e4 * TINY)).any()


def literal(case, rule, scope, modulate):
    """The published rule on whole vectors, one step after the other."""
    rho, sigma, k, p = coefficients(case, modulate)
    h_c, h_d = k[:, None] * case.g_c, p[:, None] * case.g_d

    def inner(a, b):
        rows = (a * b).sum(1)
        return np.full_like(rows, rows.sum()) if scope == 'global' else rows

    cross, square_c, square_d = (
        inner(h_c, h_d),
        inner(h_c, h_c),
        inner(h_d, h_d),
    )
    result = h_c + h_d
    for i in range(len(h_c)):
        stronger = rho[i] >= sigma[i]
        on_c = {'cagp': stronger, 'reverse': not stronger}.get(
            rule, rule in ('fixed_class', 'pcgrad')
        )
        on_d = {'cagp': not stronger, 'reverse': stronger}.get(
            rule, rule in ('fixed_domain', 'pcgrad')
        )
        if cross[i] < 0 and on_c and square_d[i] >= TINY:
            result[i] -= cross[i] / square_d[i] * h_d[i]
        if cross[i] < 0 and on_d and square_c[i] >= TINY:
            result[i] -= cross[i] / square_c[i] * h_c[i]
    return result


def magnitude(case, result):
    """Size of what was added up, the unit of its rounding."""
    sizes = [np.abs(x).max() for x in (case.g_c, case.g_d, result)]
    return max(*sizes, 1e-300)


def assert_close(case, result, expected):
    unit = magnitude(case, expected)
    np.testing.assert_allclose(
        result / unit, expected / unit, rtol=0, atol=TOLERANCE
    )


rules = st.sampled_from(RULES)


@pytest.mark.parametrize('rule', RULES)
@given(case=cases(), scope=st.sampled_from(SCOPES), modulate=st.booleans())
def test_the_closed_form_is_the_literal_rule(rule, scope, case, modulate):
    assume(not near_a_decision(case))
    result = combine(case, rule, scope, modulate)
    assert_close(case, result, literal(case, rule, scope, modulate))


@given(case=cases())
def test_without_strategy_gradients_are_added(case):
    np.testing.assert_allclose(
        combine(case, modulate=False), case.g_c + case.g_d, rtol=1e-15
    )


@given(rule=rules, case=cases(), modulate=st.booleans())
def test_no_conflict_leaves_the_modulated_sum(rule, case, modulate):
    agree = np.sign((case.g_c * case.g_d).sum(1, keepdims=True))
    case = replace(case, g_d=case.g_d * np.where(agree < 0, -1, 1))
    assume(not near_a_decision(case))
    result = combine(case, rule, modulate=modulate)
    assert_close(case, result, combine(case, None, modulate=modulate))


@pytest.mark.parametrize('rule', ['fixed_class', 'fixed_domain'])
@given(case=cases())
def test_the_protected_task_loses_nothing(rule, case):
    """Along its gradient, the result is as long as that gradient is."""
    dots = (case.g_c * case.g_d).sum(1, keepdims=True)
    case = replace(case, g_d=case.g_d * np.where(dots > 0, -1, 1))
    assume(not near_a_decision(case))
    result = combine(case, rule, modulate=False)
    kept = case.g_d if rule == 'fixed_class' else case.g_c
    for g, protected, dot in zip(result, kept, dots[:, 0], strict=True):
        square = protected @ protected
        if dot == 0 or square < TINY:
            continue
        unit = np.linalg.norm(protected) * magnitude(case, result)
        assert abs(g @ protected - square) <= TOLERANCE * unit


@given(
    rule=rules,
    case=cases(),
    factor=st.sampled_from([-1.0, 2.0**-20, 8.0, 2.0**20]),
)
def test_scaling_both_gradients_scales_the_result(rule, case, factor):
    assume(not near_a_decision(case))
    assume(not near_underflow(case, 2.0**-20))
    scaled = replace(case, g_c=factor * case.g_c, g_d=factor * case.g_d)
    np.testing.assert_array_equal(
        combine(scaled, rule), factor * combine(case, rule)
    )


@given(rule=rules, case=cases(), scale=st.sampled_from([1.0, 1024.0, 65536.0]))
def test_the_loss_scale_changes_no_bit(rule, case, scale):
    assume(not near_underflow(case))
    np.testing.assert_array_equal(
        combine(case, rule, scale=scale), combine(case, rule)
    )


@given(rule=rules, case=cases(fewest=2), turn=st.integers(1, 2))
def test_the_order_of_the_modalities_does_not_matter(rule, case, turn):
    assume(not near_a_decision(case))
    turned = Case(
        *(
            np.roll(x, turn, axis=0)
            for x in (case.g_c, case.g_d, case.q, case.c)
        )
    )
    result = combine(case, rule)
    assert_close(case, combine(turned, rule), np.roll(result, turn, axis=0))


@given(case=cases())
@example(Case(*(np.ones((2, 1)) * x for x in (1.0, -1.0, 0.5, 0.5))))
def test_modulation_only_ever_damps_and_spares_the_weakest(case):
    _, _, k, p = coefficients(case)
    result = combine(case)
    assert_close(case, result, k[:, None] * case.g_c + p[:, None] * case.g_d)
    for factors in (k, p):
        assert ((factors >= 0) & (factors <= 1)).all()
        assert (factors == 1).any()


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
@given(rule=rules, case=cases(), data=st.data())
def test_what_is_not_finite_reaches_the_optimizer(bad, rule, case, data):
    row = data.draw(st.integers(0, len(case.g_c) - 1))
    column = data.draw(st.integers(0, case.g_c.shape[1] - 1))
    which = data.draw(st.sampled_from(['g_c', 'g_d']))
    spoilt = getattr(case, which).copy()
    spoilt[row, column] = bad
    result = combine(replace(case, **{which: spoilt}), rule)
    assert not np.isfinite(result[row]).all()
    others = np.delete(result, row, axis=0)
    assert np.isfinite(others).all()
