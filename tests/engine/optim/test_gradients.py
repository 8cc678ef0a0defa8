"""Inner products and factors at the ends of what float32 holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmgmp.engine.optim import TaskGradientOptimWrapper, gradients
from mmgmp.engine.optim.gradients import inner_products, scale_

from .toy import linear_tasks

SHAPES = ((3, 4), (7,), (2, 3, 2), (1,))


def drawn(seed, size=1.0, shapes=SHAPES):
    generator = torch.Generator().manual_seed(seed)
    return [size * torch.randn(shape, generator=generator) for shape in shapes]


def exact(first, second):
    """In float64 throughout, which squares any float32 without loss."""
    a, b = (
        np.concatenate([g.double().flatten().numpy() for g in side])
        for side in (first, second)
    )
    return [a @ a, b @ b, a @ b]


def values(first, second):
    return [float(x) for x in inner_products(first, second)]


@given(
    seed=st.integers(0, 999),
    first=st.integers(-44, 37),
    second=st.integers(-44, 37),
)
def test_finite_gradients_have_finite_and_right_products(seed, first, second):
    a, b = drawn(seed, 10.0**first), drawn(seed + 1, 10.0**second)
    expected = exact(a, b)
    scale = math.sqrt(expected[0] * expected[1])
    assert values(a, b)[:2] == pytest.approx(expected[:2], rel=1e-6)
    assert values(a, b)[2] == pytest.approx(expected[2], abs=1e-6 * scale)


@pytest.mark.parametrize('size', [1e-42, 1e-30, 1.0, 1e30, 3e38])
def test_opposite_gradients_have_the_cosine_of_opposites(size):
    a = [torch.full((5,), size), torch.full((2, 2), size)]
    square, other, cross = values(a, [-g for g in a])
    assert square == other == pytest.approx(-cross, rel=1e-6)
    assert 0 < square < math.inf


def test_zeros_and_missing_gradients():
    a, nothing = drawn(0), [torch.zeros(shape) for shape in SHAPES]
    assert values(a, nothing)[1:] == [0, 0]
    assert values(nothing, nothing) == [0, 0, 0]
    assert values([None] * 4, [None] * 4) == [0, 0, 0]
    holed = [None, *a[1:]]
    assert values(holed, [*a[:3], None])[2] == pytest.approx(
        exact(a[1:3], a[1:3])[0]
    )
    assert values([torch.ones(0), *a], [torch.ones(0), *a]) == values(a, a)


@given(seed=st.integers(0, 999), size=st.sampled_from([1e-9, 1e-3, 1, 1e6]))
def test_ordinary_gradients_give_the_bits_of_plain_sums(seed, size):
    a, b = drawn(seed, size), drawn(seed + 1, size)
    norms = [torch.stack(torch._foreach_norm(g)).double() for g in (a, b)]
    dots = [
        torch.dot(x.flatten(), y.flatten()) for x, y in zip(a, b, strict=True)
    ]
    plain = [norms[0].square().sum(), norms[1].square().sum()]
    plain.append(torch.stack(dots).double().sum())
    assert values(a, b) == [float(x) for x in plain]


@pytest.mark.parametrize('chunk', [1, 5, 100])
@pytest.mark.parametrize('wide', [torch.float64, torch.float32])
def test_any_device_gets_what_a_cpu_gets(chunk, wide, monkeypatch):
    """In pieces of any size, with holes, and in float32 as on Apple GPUs."""
    monkeypatch.setattr(gradients, '_CHUNK', chunk)
    monkeypatch.setattr(gradients, 'accumulation_dtype', lambda _: wide)
    shapes = [*SHAPES, (2, 3, 4, 4), (0,)]
    a, b = drawn(0, shapes=shapes), drawn(1, shapes=shapes)
    a[4], b[4] = (g[4].to(memory_format=torch.channels_last) for g in (a, b))
    a[0], b[1], a[3], b[3] = None, None, None, None
    for first, second in ((a, b), (a, [None] * 6), ([None] * 6, b)):
        found = gradients._wide_products(first, second)
        assert [float(x) for x in found] == pytest.approx(
            values(first, second), rel=1e-5
        )
        assert {x.dtype for x in found} <= {wide, torch.float64}


def test_small_elements_among_ordinary_ones():
    """They count for the rest of their encoder if not for themselves."""
    a = [torch.full((1000,), 1e-22), torch.full((3,), 1e-10)]
    b = [torch.full((1000,), 1e-22), torch.full((3,), -1e-10)]
    assert values(a, b) == pytest.approx(exact(a, b), rel=1e-6)


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_so(bad):
    a = drawn(0)
    a[1][2] = bad
    square, other, cross = values(a, drawn(1))
    assert not math.isfinite(square)
    assert not math.isfinite(cross)
    assert math.isfinite(other)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_multiplied_in_single(dtype):
    a = [torch.full((100,), 300.0, dtype=dtype)]
    size = float(a[0][0])
    assert values(a, a) == [pytest.approx(100 * size**2)] * 3


def test_types_may_be_mixed():
    a = [torch.full((3,), 2.0, dtype=torch.float16), torch.full((2,), 3.0)]
    assert values(a, a) == [pytest.approx(12 + 18)] * 3


def test_no_value_is_needed_on_the_host():
    """Meta tensors have none."""
    a = [torch.empty(shape, device='meta') for shape in SHAPES]
    assert all(x.is_meta and x.ndim == 0 for x in inner_products(a, a))
    factor = torch.empty((), device='meta', dtype=torch.float64)
    scale_(a, factor, is_wide=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_a_factor_too_large_for_the_type(dtype):
    limit = torch.finfo(dtype).max
    for factor in (0.5, 0.0, limit, 8 * limit, -8 * limit):
        gradient = torch.full((3,), 2.0**-10, dtype=dtype)
        wide = torch.tensor(factor, dtype=torch.float64)
        scale_([gradient], wide, is_wide=True)
        assert gradient.tolist() == pytest.approx([factor * 2**-10] * 3)
    for factor in (math.nan, math.inf):
        gradient = torch.ones(3)
        scale_([gradient], torch.tensor(factor).double(), is_wide=True)
        assert not gradient.isfinite().any()


def projected(rule, g_c, g_d):
    """Minus the update, and the projected sum in float64."""
    encoders = {m: nn.Parameter(torch.zeros(3)) for m in ('video', 'audio')}
    TaskGradientOptimWrapper(
        torch.optim.SGD(encoders.values(), lr=1.0),
        projection=dict(type='TaskProjection', rule=rule),
    ).update_params(linear_tasks(encoders, g_c, g_d))
    a, b = (torch.tensor(g).double().numpy() for g in (g_c, g_d))
    on_c = rule in ('fixed_class', 'pcgrad')
    on_d = rule in ('fixed_domain', 'pcgrad')
    expected = a + b
    if a @ b < 0:
        expected = expected - on_c * (a @ b) / (b @ b) * b
        expected = expected - on_d * (a @ b) / (a @ a) * a
    return -encoders['video'].detach().double().numpy(), expected


@pytest.mark.parametrize('rule', ['fixed_class', 'fixed_domain', 'pcgrad'])
@pytest.mark.parametrize(
    ('first', 'second'),
    [(1e37, 1e37), (1e25, 1e3), (1e-12, 1e25), (1e30, 1e-15), (1e-18, 1e-18)],
)
def test_the_projection_of_huge_and_tiny_gradients(rule, first, second):
    g_c = [first * x for x in (1.0, -2.0, 3.0)]
    g_d = [second * x for x in (-2.0, 1.0, -1.0)]
    result, expected = projected(rule, g_c, g_d)
    size = max(first, second)
    np.testing.assert_allclose(result / size, expected / size, atol=1e-6)
