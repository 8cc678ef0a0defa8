from __future__ import annotations

import pytest

from mmgmp.utils.activity import ActivityWindow
from mmgmp.utils.checks import check_choice


@pytest.mark.parametrize('value', ['c', ['a'], None, 1])
def test_a_choice_that_is_unknown_is_refused(value):
    """Whatever a config may hold, hashable or not."""
    with pytest.raises(ValueError, match=r"kind must be one of \['a', 'b'\]"):
        check_choice('kind', value, ('a', 'b'))


def test_the_advice_is_the_callers():
    assert check_choice('kind', 'a', {'a': 1}) == 'a'
    with pytest.raises(ValueError, match="got 'c'; correct model.methods"):
        check_choice('kind', 'c', ('a',), 'correct model.methods')


def test_a_window_has_both_ends_inside():
    assert [e in ActivityWindow(1, 2) for e in range(4)] == [0, 1, 1, 0]
    assert 10**9 in ActivityWindow()


@pytest.mark.parametrize('ends', [(-1, None), (3, 2)])
def test_an_empty_window_is_refused(ends):
    with pytest.raises(ValueError, match=f'got {ends[0]} and {ends[1]}; why'):
        ActivityWindow(*ends, advice='why')
