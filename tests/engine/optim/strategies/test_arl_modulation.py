"""ARL: hand-computed cases."""

from __future__ import annotations

import pytest
import torch

from mmgmp.engine.optim import ARLModulation, TaskGradientOptimWrapper
from tests.engine.optim.toy import ToyModel, toy_data

from .toy_strategies import signals


def factors(entropy, size, **options):
    ratios = (1.0,) * len(entropy)
    means = dict(share_entropy=entropy, share_size=size)
    return ARLModulation(**options).factors(signals(ratios, **means))


@pytest.mark.parametrize(
    ('entropy', 'size', 'options', 'expected'),
    [
        ((0.5, 1.5), (3.0, 1.0), {}, (1.429053, 1.570947)),
        ((0.5, 1.5), (3, 1), dict(temperature=1.0), (1.491072, 1.508928)),
        ((1.0, 1.0), (2.0, 2.0), {}, (1.5, 1.5)),
        (
            (0.2, 0.6, 1.2), (1.0, 1.0, 2.0), dict(floor=0.3),
            (1.408275, 1.408275, 1.183450),
        ),
        ((0.0, 0.0), (0.0, 0.0), {}, (1.5, 1.5)),
        ((0.5, 1.5), (3.0, 1.0), dict(released=True), (1.5, 1.5)),
        ((0.7,), (2.0,), {}, (1.0,)),
    ],
)  # fmt: skip
def test_hand_computed(entropy, size, options, expected):
    found = factors(entropy, size, **options)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('scale', [1e-30, 1e30])
def test_extreme_numbers_and_swaps(scale):
    found = factors((0.1, 3.0, scale), (scale, 1.0, 2.0))
    assert ((found > 1) & (found < 2)).all()
    swapped = factors((scale, 3.0, 0.1), (2.0, 1.0, scale))
    torch.testing.assert_close(swapped, found.flip(0))


@pytest.mark.parametrize('options', [{'temperature': 0}, {'floor': 0}])
def test_bad_options(options):
    with pytest.raises(ValueError, match='temperature must be > 0 and floor'):
        ARLModulation(**options)


def test_missing_statistics_are_explained():
    model = ToyModel()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), ARLModulation()
    )
    with pytest.raises(ValueError, match='ShareStatisticsMethod'):
        wrapper.update_params(model.loss(toy_data(4)))
