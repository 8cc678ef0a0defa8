from __future__ import annotations

import collections
import os
import pickle
import struct
import tracemalloc

import pytest

from mmgmp.utils.inert_pickle import (
    DAMAGE,
    RefusedGlobalError,
    load_inert,
)


class Call:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', range(6))
def test_plain_data_is_read(protocol):
    data = [1, 'a', 2.5, None, True, {'b': (3,)}, -(2**40)]
    assert load_inert(pickle.dumps(data, protocol), ()) == data


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize(
    'call', [(os.mkdir, ('ran',)), (eval, ('1',)), (getattr, (int, 'real'))]
)
def test_nothing_that_is_named_runs(call, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps([Call(*call)], protocol)
    with pytest.raises(RefusedGlobalError, match='it names the global'):
        load_inert(content, [('collections', 'OrderedDict')])
    assert not list(tmp_path.iterdir())


def test_an_allowed_call_is_only_remembered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = os.mkdir.__module__
    made = Call(os.mkdir, ('ran',), {'state': 1})
    found = load_inert(pickle.dumps(made), [(module, 'mkdir')])
    assert type(found).__name__ == 'mkdir'
    assert (found.args, found.state) == (('ran',), {'state': 1})
    assert not list(tmp_path.iterdir())
    allowed = [('collections', 'OrderedDict')]
    ordered = load_inert(pickle.dumps(collections.OrderedDict()), allowed)
    assert ordered.args == ()


@pytest.mark.parametrize(
    'content',
    [
        b'\x80\x02]r' + struct.pack('<I', 2**31 - 1) + b'.',
        b'\x80\x02]p999999999\n.',
        b'\x80\x04\x8e' + struct.pack('<Q', 2**40) + b'.',
        b'\x80\x04\x95' + struct.pack('<Q', 2**60) + b'N.',
        b'',
        b'garbage',
        b'\x80\x04\x82\x01.',
        b'\x80\x02PX\n.',
    ],
    ids=[
        'memo', 'text memo', 'bytes', 'frame', 'empty', 'garbage',
        'extension', 'persistent',
    ],
)  # fmt: skip
def test_claims_are_not_believed(content):
    tracemalloc.start()
    try:
        try:
            found = load_inert(content, ())
        except DAMAGE:
            found = None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    assert found is None or type(found).__name__ == 'StandIn'
