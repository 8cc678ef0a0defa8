"""A subset has all domains and classes that it has room for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgmp.datasets.subset import spread

# Sorted by domain, then by class, as annotation files are.
SORTED = [(d, c) for d in 'ab' for c in range(3) for _ in range(10)]


@pytest.mark.parametrize('count', [2, 3, 6, 20, 59, -2, -3, -6, -20])
def test_domains_and_classes_are_even(count):
    chosen = [SORTED[i] for i in spread(SORTED, count)]
    domains = Counter(domain for domain, _ in chosen)
    cells = Counter(chosen)
    assert len(chosen) == abs(count)
    assert abs(domains['a'] - domains['b']) <= 1
    if abs(count) >= 6:
        assert len(cells) == 6
        assert max(cells.values()) - min(cells.values()) <= 1


def test_the_sign_says_from_which_end():
    assert spread(SORTED, 6) == [0, 10, 20, 30, 40, 50]
    assert spread(SORTED, -6) == [9, 19, 29, 39, 49, 59]


@given(
    st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 3))),
    st.integers(-30, 30),
)
def test_any_order_of_samples(groups, count):
    chosen = spread(groups, count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(abs(count), len(groups))
    domains = {domain for domain, _ in groups}
    if len(chosen) >= len(domains):
        assert {groups[i][0] for i in chosen} == domains
    if len(chosen) >= len(set(groups)):
        assert {groups[i] for i in chosen} == set(groups)
