from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.models.methods.mer_dg import (
    MERDGMethod,
    marginal_entropy_loss,
    spectral_entropy_loss,
)
from mmgmp.structures import Task

from .toy_methods import SMALL, batch_for, build_model, hand_batch

TWO = {'video': 4, 'audio': 2}
SQUARE = [[1.0, 1], [1, -1], [-1, 1], [-1, -1]]
LINE = [[0.5, 0.5], [0.5, 0.5], [-0.5, -0.5], [-0.5, -0.5]]


def build(in_channels=TWO, **kwargs):
    torch.manual_seed(0)
    return MERDGMethod(in_channels, 2, **SMALL, **kwargs)


@pytest.mark.parametrize(
    ('u', 'marginal', 'spectral'),
    [
        (SQUARE, 0.0, -0.287557),
        (LINE, 0.422563, 4.114937),
        ([[1.0, 1]] * 4, 0.99, 9.210340),
    ],
    ids=['square', 'line', 'constant'],
)
def test_hand_computed(u, marginal, spectral):
    u = torch.tensor(u, requires_grad=True)
    found = marginal_entropy_loss(u), spectral_entropy_loss(u)
    assert found[0].item() == pytest.approx(marginal, abs=1e-6)
    assert found[1].item() == pytest.approx(spectral, abs=1e-6)
    sum(found).backward()
    assert u.grad.isfinite().all()


@pytest.mark.parametrize('shape', [(16, 128), (48, 128), (6, 4)])
def test_the_smaller_form_is_the_definition(shape):
    torch.manual_seed(0)
    u = torch.randn(shape, dtype=torch.double)
    x = u - u.mean(0)
    x = x / (x.std(0, correction=0) + 1e-4)
    rows, columns = shape
    c = x.T @ x / (rows - 1) + 1e-4 * torch.eye(columns, dtype=u.dtype)
    expected = -torch.linalg.slogdet(c)[1] / columns
    torch.testing.assert_close(
        spectral_entropy_loss(u), expected, rtol=1e-9, atol=1e-9
    )


def test_rows_on_the_unit_sphere_cannot_reach_a_deviation_of_one():
    u = F.normalize(torch.randn(16, 128), dim=1)
    assert marginal_entropy_loss(u).item() == pytest.approx(0.913, abs=2e-3)


@pytest.mark.parametrize('scale', [0.0, 1e-12, 1.0, 1e12])
def test_hard_inputs_have_a_finite_gradient(scale):
    u = (scale * torch.randn(5, 8)).requires_grad_()
    (marginal_entropy_loss(u) + spectral_entropy_loss(u)).backward()
    assert u.grad.isfinite().all()


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    u = torch.randn(5, 8)
    u[2, 3] = bad
    assert spectral_entropy_loss(u).isnan()


@pytest.mark.parametrize('shape', [(0, 3), (1, 3), (4, 1)])
def test_too_few_rows_or_columns_give_zero_with_a_graph(shape):
    u = torch.randn(shape, requires_grad=True)
    loss = spectral_entropy_loss(u)
    assert loss.item() == 0
    assert loss.requires_grad
    if shape[0] < 2:
        assert marginal_entropy_loss(u).item() == 0


@pytest.mark.parametrize(
    'modalities', [('video',), ('video', 'audio', 'flow')]
)
def test_terms_are_sums_over_modalities(modalities):
    widths = dict.fromkeys(modalities, 4)
    method = build(widths, weight=2.0, marginal_weight=0.5)
    features = {m: torch.randn(6, 4) for m in modalities}
    terms = method.losses(hand_batch(features, [0] * 6))[Task.EXTRA]
    u = [p(features[m]) for m, p in method.projectors.items()]
    marginal = sum(marginal_entropy_loss(x) for x in u)
    # Without the three eigenvalues of eight that are delta in any case.
    spectral = sum(
        spectral_entropy_loss(x) + 3 / 8 * math.log(1e-4) for x in u
    )
    torch.testing.assert_close(terms['marginal'], marginal)
    torch.testing.assert_close(terms['spectral'], 2 * spectral)


def test_normalised_projections_have_length_one():
    method = build(normalize=True)
    lengths = method.projectors['video'](torch.randn(6, 4)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(6))


def trained(methods):
    model = build_model('mer_dg', methods=methods)
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1)
    )
    inputs, samples = batch_for('mer_dg')
    torch.manual_seed(1)
    model.train_step(dict(inputs=inputs, data_samples=samples), wrapper)
    return model.state_dict()


def test_a_weight_of_zero_is_the_training_without_it():
    off = trained([dict(type='MERDGMethod', weight=0.0)])
    plain = trained([])
    assert off.keys() == plain.keys()
    assert all(torch.equal(off[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(delta=0.0), 'delta of MERDGMethod must be > 0'),
        (dict(spectral_weight=-1.0), 'weights of MERDGMethod must be >= 0'),
        (dict(weight=math.nan), 'weights of MERDGMethod must be >= 0'),
        (dict(tasks=dict(entropy='cls')), "its terms .'marginal', 'spectral'"),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)
