from __future__ import annotations

import json

import pytest
from mmengine.config import Config

from mmgmp.utils.config_data import config_from_text, config_to_text
from tests.shipped import GMP


def test_a_shipped_config_comes_back_in_its_order():
    config = Config.fromfile(GMP).to_dict()
    read = config_from_text(config_to_text(config))
    assert read == config
    assert list(read['model']['encoders']) == ['video', 'audio']
    assert list(read) == list(config)


def test_tuples_stay_tuples():
    config = {'a': (1, [(2,), 'x'], None), 'b': {'c': (), 'd': 1e-3}}
    assert config_from_text(config_to_text(config)) == config


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'a': [{'b': slice(3)}]}, r'a\[0\]\.b is a slice'),
        ({'type': int}, 'type is a type'),
        ({'a': {1: 2}}, 'a has the key 1'),
        ({'a': {'__tuple__': 2}}, "has the key '__tuple__'"),
    ],
)
def test_what_is_no_data_is_named(config, message):
    with pytest.raises(TypeError, match=message):
        config_to_text(config)


@pytest.mark.parametrize(
    'text',
    [
        'model = dict()',
        '[1]',
        '{"a": {"__tuple__": 3}}',
        '{"a":' + '[' * 60 + ']' * 60 + '}',
        '[' * 100_000,
        json.dumps({'a': 'x' * (1 << 22)}),
    ],
    ids=['python', 'list', 'tuple', 'deep', 'deeper', 'long'],
)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match='must (be|have)'):
        config_from_text(text)
