"""Combiners of two gradients: hand-computed cases, and what they promise."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from mmgmp.engine.hooks.task_gradient_hook import TaskGradientHook
from mmgmp.engine.optim.strategies import gramian_rules as rules
from mmgmp.engine.optim.strategies.gramian_projection import (
    GramianProjection,
)
from mmgmp.structures import BatchSignals, Coefficients, GradientProducts

CASES = [
    ('mgda', {}, (1.0, 0.0), (-1.0, 1.0), (0.6, 0.4)),
    ('imtl_g', {}, (1.0, 0.0), (-1.0, 1.0), (0.585786, 0.414214)),
    ('config', {}, (1.0, 0.0), (-1.0, 1.0), (1.207107, 0.853553)),
    ('nash', dict(max_norm=None), (1, 0), (-1, 1), (1.847759, 1.306563)),
    ('nash', {}, (1.0, 0.0), (-1.0, 1.0), (1.306563, 0.923880)),
    ('aligned', {}, (1.0, 0.0), (-1.0, 1.0), (1.105573, 0.829180)),
    ('dualproj', {}, (1.0, 0.0), (-1.0, 1.0), (1.0, 1.0)),
    ('cagrad', dict(radius=0.5), (1, 0), (-1, 1), (0.75, 0.5)),
    ('gradvac', dict(target=0.3), (1, 0), (-1, 1), (2.314485, 1.657243)),
    ('gradvac', dict(target=0.0), (1, 0), (-1, 1), (2.0, 1.5)),  # PCGrad
    ('dualproj', {}, (4.0, 0.0), (-1.0, 1.0), (1.0, 2.0)),
    ('mgda', {}, (4.0, 0.0), (-1.0, 1.0), (0.230769, 0.769231)),
    ('cagrad', dict(radius=0.5), (4, 0), (-1, 1), (0.5, 1.059017)),
    ('dualproj', {}, (1.0, 0.0), (1.0, 1.0), (1.0, 1.0)),
    ('gradvac', dict(target=0.3), (1, 0), (1, 1), (1.0, 1.0)),
    ('mgda', {}, (1.0, 0.0), (1.0, 1.0), (1.0, 0.0)),
    ('mgda', {}, (2.0, 0.0), (-1.0, 0.0), (1 / 3, 2 / 3)),
    ('dualproj', {}, (2.0, 0.0), (-1.0, 0.0), (1.0, 2.0)),
    ('aligned', {}, (2.0, 0.0), (-1.0, 0.0), (0.4, -0.2)),
    ('cagrad', {}, (1.0, 0.0), (-1.0, 0.0), (0.0, 0.0)),
    ('mgda', {}, (1.0, 1.0), (1.0, 1.0), (0.5, 0.5)),
    ('cagrad', dict(radius=0.5), (1, 1), (1, 1), (0.75, 0.75)),
]
RULES = [
    dict(rule=rule)
    for rule in (
        'mgda', 'imtl_g', 'config', 'nash', 'aligned', 'dualproj', 'cagrad',
        'gradvac',
    )
]  # fmt: skip


def build(rule, target=None, total=1.0, **options):
    projection = GramianProjection(rule, total=total, **options)
    if target is not None:
        projection.target = torch.tensor([target])
    return projection


def products_of(firsts, seconds):
    first = torch.tensor(firsts, dtype=torch.double)
    second = torch.tensor(seconds, dtype=torch.double)
    return GradientProducts(
        first.square().sum(1), second.square().sum(1), (first * second).sum(1)
    )


def combine(projection, firsts, seconds, k=1.0, unit=1.0):
    """Factors of the gradients of each encoder, ``(2, M)``."""
    products = products_of(firsts, seconds)
    products = GradientProducts(
        products.classification, products.domain, products.cross, unit
    )
    one = torch.ones(len(firsts), dtype=torch.double)
    names = ('video', 'audio', 'flow')[: len(firsts)]
    factors, conflict = projection.project(
        products,
        Coefficients(k * one, one, one),
        BatchSignals(names, one, one),
    )
    if projection.scope == 'modality':
        assert torch.equal(conflict, products.cross * k < 0)
    return torch.stack([factors.classification, factors.domain])


@pytest.mark.parametrize(('rule', 'options', 'first', 'second', 'uv'), CASES)
def test_hand_computed(rule, options, first, second, uv):
    found = combine(build(rule, **options), [first], [second])
    assert found[:, 0].tolist() == pytest.approx(uv, abs=1e-6)


def pairs(count, orders=3):
    """Gradients from ``10 ** -orders`` to ``10 ** orders``."""
    generator = torch.Generator().manual_seed(0)
    kind = dict(dtype=torch.double)
    sizes = 10 ** torch.linspace(-orders, orders, count, **kind)[:, None]
    firsts, seconds = torch.randn(2, count, 3, generator=generator, **kind)
    return firsts * sizes, seconds * sizes.flip(0).sqrt()


def search(objective):
    """Minimum over [0, 1] of a convex function of one weight per row."""
    low = torch.zeros(30, dtype=torch.double)
    high = low + 1
    for _ in range(80):
        third = (high - low) / 3
        is_left = objective(low + third) < objective(high - third)
        low, high = (
            torch.where(is_left, low, low + third),
            torch.where(is_left, high - third, high),
        )
    return (low + high) / 2


@pytest.mark.parametrize('rule', ['mgda', 'cagrad'])
def test_the_closed_form_is_the_published_minimum(rule):
    f, s = pairs(30)
    a, b, d = (f * f).sum(1), (s * s).sum(1), (f * s).sum(1)

    def weighted(w):
        return w[:, None] * f + (1 - w)[:, None] * s

    mean = (f + s) / 2
    reach = 0.4 * mean.norm(dim=1)
    if rule == 'mgda':
        weight = search(lambda w: weighted(w).norm(dim=1))
        expected, (u, v) = weighted(weight), rules.mgda(a, b, d)
    else:
        weight = search(
            lambda w: (
                (weighted(w) * mean).sum(1) + reach * weighted(w).norm(dim=1)
            )
        )
        sum_ = weighted(weight)
        expected = mean + (reach / sum_.norm(dim=1))[:, None] * sum_
        u, v = rules.cagrad(a, b, d, 0.4)
    found = u[:, None] * f + v[:, None] * s
    error = (found - expected).norm(dim=1) / (a + b).sqrt()
    assert error.max() < 1e-6


def test_aligned_is_the_nearest_orthogonal_pair():
    f, s = pairs(30)
    u, v = rules.aligned((f * f).sum(1), (s * s).sum(1), (f * s).sum(1))
    for row in range(30):
        left, size, right = torch.linalg.svd(
            torch.stack([f[row], s[row]]), full_matrices=False
        )
        torch.testing.assert_close(
            u[row] * f[row] + v[row] * s[row],
            size.min() * (left @ right).sum(0),
            rtol=1e-6,
            atol=1e-9,
        )


def test_what_each_rule_promises():
    f, s = pairs(30)
    a, b, d = (f * f).sum(1), (s * s).sum(1), (f * s).sum(1)
    rounding = 1e-9 * (a + b)

    def sides(factors):
        u, v = factors
        return u * a + v * d, u * d + v * b

    for side in sides(rules.dualproj(a, b, d)):
        assert (side >= -rounding).all()
    first, second = sides(rules.bisector(a, b, d, 'harmonic', None))
    torch.testing.assert_close(first / a.sqrt(), second / b.sqrt())
    alpha = rules.bisector(a, b, d, 'nash', None)
    for side, weight in zip(sides(alpha), alpha, strict=True):
        torch.testing.assert_close(side * weight, torch.ones_like(a))
    target = torch.full_like(a, 0.3)
    _, v = rules.gradvac(a, b, d, target)
    moved = f + (v - 1)[:, None] * s  # the first one's share
    reached = torch.cosine_similarity(moved, s)
    below = rules.cosine(a, b, d) < target
    assert below.any()
    u, _ = rules.gradvac(a, b, d, target)
    moved = s + (u - 1)[:, None] * f
    torch.testing.assert_close(
        torch.cosine_similarity(moved, f)[below], target[below]
    )
    assert reached.isfinite().all()


@pytest.mark.parametrize('options', RULES, ids=lambda o: o['rule'])
@pytest.mark.parametrize('scale', [1e-9, 1.0, 1e15])
def test_hard_inputs(options, scale):
    """Zero, opposite, equal, uneven ones; a scale changes the factors not."""
    firsts = scale * torch.tensor([[1.0, 0], [1, 1], [1, 1], [1e-9, 0]])
    seconds = scale * torch.tensor([[0.0, 0], [-1, -1], [1, 1], [-1, 1]])
    rows = torch.stack([firsts, seconds]).double()
    found = torch.cat(
        [
            combine(build(total=2.0, **options), [f.tolist()], [s.tolist()])
            for f, s in zip(*rows, strict=True)
        ],
        1,
    )
    assert found.isfinite().all()
    assert found[:, 0].tolist() == [1, 1]
    if options['rule'] == 'cagrad':
        assert found[:, 2].tolist() == pytest.approx([1.4, 1.4])
    elif options['rule'] != 'nash':
        assert found[:, 2].tolist() == pytest.approx([1, 1])
    if options['rule'] not in ('nash', 'dualproj'):
        mirrored = combine(
            build(total=2.0, **options), [[-1.0, 1]], [[1e-9, 0]]
        )
        assert mirrored[:, 0].tolist() == pytest.approx(
            found[:, 3].flip(0).tolist(), rel=1e-6
        )
    whole = combine(build(total=2.0, **options), [[3.0, 1]], [[-2.0, 1]])
    scaled = combine(
        build(total=2.0, **options),
        [[3 * scale, scale]],
        [[-2 * scale, scale]],
        unit=scale,
    )
    torch.testing.assert_close(scaled, whole)


@pytest.mark.parametrize('options', RULES, ids=lambda o: o['rule'])
def test_what_is_not_finite_stays_so(options):
    projection = build(**options)
    combine(projection, [[1.0, 0], [1, 0]], [[-1.0, 1], [1, 1]])
    before = projection.state_dict()
    found = combine(projection, [[1.0, 0], [1, 0]], [[torch.inf, 1], [1, 1]])
    assert not found[:, 0].isfinite().any()
    assert found[:, 1].isfinite().all()
    assert str(projection.state_dict()) == str(before)


def test_scopes_and_the_modulation_in_front():
    firsts, seconds = [[1.0, 0], [2, 0], [0, 3]], [[-1.0, 1], [1, 1], [1, 1]]
    apart = combine(build('mgda'), firsts, seconds, k=0.5)
    for index, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
        halved = [[0.5 * x for x in first]]
        alone = combine(build('mgda'), halved, [second])[:, 0]
        expected = torch.stack([0.5 * alone[0], alone[1]])
        torch.testing.assert_close(apart[:, index], expected)
    together = combine(build('mgda', scope='global'), firsts, seconds)
    assert torch.equal(together, together[:, :1].expand(-1, 3))
    one = combine(
        build('mgda'), [[1.0, 0, 2, 0, 0, 3]], [[-1.0, 1, 1, 1, 1, 1]]
    )
    torch.testing.assert_close(together[:, :1], one)


def test_gradvac_follows_the_cosine_of_each_encoder():
    projection = build('gradvac', beta=0.5)
    firsts, seconds = [[1.0, 0], [0, 0]], [[0.6, 0.8], [1, 1]]
    for expected in (0.3, 0.45):
        combine(projection, firsts, seconds)
        assert projection.target.tolist() == pytest.approx([expected, 0])
    other = build('gradvac', beta=0.5)
    other.load_state_dict(projection.state_dict())
    firsts, seconds = [[1.0, 0], [1, 0]], [[0.1, 1], [1, 1]]
    assert torch.equal(
        combine(other, firsts, seconds), combine(projection, firsts, seconds)
    )


def test_an_encoder_that_stands_still_is_warned_about_once(caplog):
    projection = build('mgda')
    logger = logging.getLogger('still')
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(projection=projection), logger=logger
    )
    hook = TaskGradientHook(plot=False)
    with caplog.at_level(logging.WARNING, logger='still'):
        for still in (1, 2, 3):  # of three steps
            for step in range(3):
                second = [-2.0, 0] if step < still else [1.0, 1]
                combine(projection, [[1.0, 0], [1, 0]], [second, [1.0, 1]])
            hook.after_train_epoch(runner)
    (record,) = caplog.records
    assert 'of the 3 steps of this epoch' in record.message
    assert "['video']" in record.message


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (
            dict(rule='upgrad'),
            "rule must be .*'upgrad'.*projection.rule",
        ),
        (dict(scope='all'), 'scope must be one of'),
        (dict(rule='bisector', length='long'), 'length must be one of'),
        (dict(total=0), 'total of GramianProjection must be > 0, got 0'),
        (dict(radius=-1), 'radius of GramianProjection must be >= 0'),
        (dict(beta=0), r'beta of GramianProjection must be in \(0, 1\]'),
        (dict(max_norm=0), 'max_norm of GramianProjection must be > 0'),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        GramianProjection(**options)


@pytest.mark.parametrize(
    ('name', 'options', 'rule', 'tolerance'),
    [
        ('MGDA', dict(epsilon=1e-7, max_iters=2000), dict(rule='mgda'), 1e-4),
        ('IMTLG', {}, dict(rule='imtl_g'), 1e-6),
        ('ConFIG', {}, dict(rule='config'), 1e-6),
        ('AlignedMTL', dict(scale_mode='min'), dict(rule='aligned'), 1e-6),
        ('DualProj', {}, dict(rule='dualproj'), 5e-3),
        ('CAGrad', dict(c=0.4), dict(rule='cagrad'), 1e-3),
    ],
)
def test_an_independent_implementation_agrees(name, options, rule, tolerance):
    aggregation = pytest.importorskip(
        'torchjd.aggregation', reason="needs pip install 'mmgmp[oracle]'"
    )
    solver = {'DualProj': 'quadprog', 'CAGrad': 'cvxpy'}.get(name)
    if solver:
        pytest.importorskip(solver, reason='a solver of TorchJD')
    theirs = getattr(aggregation, name)(**options)
    # Its sums over the two tasks are means in some, as published.
    share = 0.5 if name in ('AlignedMTL', 'DualProj') else 1.0
    # Not far apart: its solvers regularise.
    for f, s in zip(*pairs(30, orders=0.5), strict=True):
        u, v = combine(build(**rule), [f.tolist()], [s.tolist()])[:, 0]
        expected = theirs(torch.stack([f, s]))
        error = (share * (u * f + v * s) - expected).norm()
        assert error <= tolerance * (f.norm() + s.norm()), (f, s)
