from __future__ import annotations

from argparse import ArgumentParser

import pytest
from mmengine.config import DictAction

from mmgmp.apis.benchmark.options import cfg_options, flatten


def test_options_read_back_as_they_were():
    values = {'a.b': [0.5, 1], 'c': None, 'd': ['human'], 'e': True, 'f': 'x'}
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    words = cfg_options(flatten(values))
    assert parser.parse_args(words).cfg_options == values


@pytest.mark.parametrize(
    'value',
    [
        [{'type': 'AudioVisualAccuracy'}],
        {},
        'opening door',
        ['a,b'],
        'a [b',
        ['a]', '[b'],
        [1, {'a': ['b'], 'c': 1}],
        'a],[b' * 10_000,
    ],
)
def test_what_a_command_line_would_change_is_refused(value):
    with pytest.raises(ValueError, match=r'test_evaluator must be a number'):
        flatten({'test_evaluator': value})


def test_yaml_takes_small_numbers_for_words():
    assert flatten({'lr': '1e-4', 'b': (0.5, 1)}) == {
        'lr': 1e-4,
        'b': [0.5, 1],
    }
