from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mmgmp.apis.benchmark import paired_difference

numbers = st.lists(
    st.floats(0, 100).map(lambda x: round(x, 2)), min_size=3, max_size=8
)


def series(values) -> pd.Series:
    return pd.Series(values, dtype=float)


def test_an_interval_computed_by_hand():
    """Differences 1, 3, 5: mean 3, deviation 2, t(0.975, 2) = 4.30265."""
    found = paired_difference(
        series({0: 3, 1: 5, 2: 7}), series({2: 2, 0: 2, 1: 2})
    )
    half = 4.302653 * 2 / 3**0.5
    assert (found['mean'], found['n']) == (3, 3)
    assert found['low'] == pytest.approx(3 - half, abs=1e-5)
    assert found['high'] == pytest.approx(3 + half, abs=1e-5)


@given(numbers, st.integers(0, 100))
def test_the_interval_is_that_of_the_paired_t_test(values, seed):
    other = np.random.default_rng(seed).uniform(0, 100, len(values))
    found = paired_difference(series(values), series(other))
    expected = stats.ttest_rel(values, other).confidence_interval(0.95)
    np.testing.assert_allclose(
        [found['low'], found['high']], expected, rtol=1e-9, atol=1e-9
    )


@given(numbers, st.floats(-50, 50))
def test_a_common_shift_is_certain(values, shift):
    """Pairing takes the variance between seeds away."""
    found = paired_difference(series(values) + shift, series(values))
    assert found['mean'] == pytest.approx(shift, abs=1e-9)
    assert found['high'] - found['low'] < 1e-9


def test_only_common_seeds_are_paired():
    found = paired_difference(
        series({0: 1.0, 1: 2.0, 7: 90.0}), series({0: 0.0, 1: 0.0})
    )
    assert (found['mean'], found['n']) == (1.5, 2)


@pytest.mark.parametrize('values', [{0: 1.0}, {0: 1.0, 1: 5.0}])
def test_one_pair_has_no_interval(values):
    found = paired_difference(series(values), series({0: 0.5}))
    assert found['n'] == 1
    assert np.isnan([found['low'], found['high']]).all()


def test_without_a_common_seed_there_is_nothing():
    assert paired_difference(series({5: 1.0}), series({0: 0.5})) == {}
