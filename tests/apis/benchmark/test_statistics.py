from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mmgmp.apis.benchmark.statistics import (
    average_targets,
    paired_difference,
    summarise,
)

numbers = st.lists(
    st.floats(0, 100).map(lambda x: round(x, 2)), min_size=3, max_size=8
)


def test_an_interval_computed_by_hand():
    """Differences 1, 3, 5: mean 3, deviation 2, t(0.975, 2) = 4.30265."""
    found = paired_difference({0: 3, 1: 5, 2: 7}, {2: 2, 0: 2, 1: 2})
    half = 4.302653 * 2 / 3**0.5
    assert (found.mean, found.n) == (3, 3)
    assert found.low == pytest.approx(3 - half, abs=1e-5)
    assert found.high == pytest.approx(3 + half, abs=1e-5)


@given(numbers, st.integers(0, 100))
def test_the_interval_is_that_of_the_paired_t_test(values, seed):
    other = np.random.default_rng(seed).uniform(0, 100, len(values))
    found = paired_difference(dict(enumerate(values)), dict(enumerate(other)))
    expected = stats.ttest_rel(values, other).confidence_interval(0.95)
    np.testing.assert_allclose(
        [found.low, found.high], expected, rtol=1e-9, atol=1e-9
    )


@given(numbers, st.floats(-50, 50))
def test_a_common_shift_is_certain(values, shift):
    """Pairing takes the variance between seeds away."""
    runs = dict(enumerate(values))
    found = paired_difference(
        {seed: value + shift for seed, value in runs.items()}, runs
    )
    assert found.mean == pytest.approx(shift, abs=1e-9)
    assert found.high - found.low < 1e-9


def test_only_common_seeds_are_paired():
    found = paired_difference({0: 1.0, 1: 2.0, 7: 90.0}, {0: 0.0, 1: 0.0})
    assert (found.mean, found.n) == (1.5, 2)


@pytest.mark.parametrize(
    ('values', 'n'), [({0: 1.0}, 1), ({0: 1.0, 1: 5.0}, 1), ({5: 1.0}, None)]
)
def test_too_few_pairs_have_no_interval(values, n):
    found = paired_difference(values, {0: 0.5})
    if n is None:
        assert found is None
    else:
        assert (found.n, found.low, found.high) == (n, None, None)
        assert not found.excludes_zero


@pytest.mark.parametrize(
    ('shift', 'expected'), [(5.0, True), (-5.0, True), (0.0, False)]
)
def test_whether_zero_is_excluded(shift, expected):
    values = {0: shift + 0.1, 1: shift - 0.1, 2: shift}
    reference = dict.fromkeys(values, 0.0)
    assert paired_difference(values, reference).excludes_zero is expected


def test_one_seed_has_no_deviation():
    assert summarise([4.0]).std is None
    assert summarise([]) is None


def test_an_average_needs_every_target():
    by_target = {'H': {0: 1.0, 1: 3.0, 2: 5.0}, 'A': {0: 2.0, 2: 7.0}}
    assert average_targets(by_target) == {0: 1.5, 2: 6.0}
