from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mmgmp.utils.typed_values import (
    choice,
    key,
    optional,
    read_as,
    scalar,
    texts,
)


@dataclass(frozen=True)
class Inner:
    size: int = field(default=3, metadata=key(choice(3, 4)))


@dataclass(frozen=True)
class Outer:
    name: str = field(metadata=key(scalar))
    tags: tuple[str, ...] = field(metadata=key(texts, []))
    inner: Inner | None = field(metadata=key(optional(read_as(Inner)), None))
    note: str = 'not read'


def read(value):
    return read_as(Outer)('', value)


def test_fields_are_read_or_have_their_defaults():
    assert read({'name': 1}) == Outer('1', (), None)
    whole = {'name': 'a', 'tags': ['b', 2], 'inner': {'size': 4}}
    assert read(whole) == Outer('a', ('b', '2'), Inner(4))
    assert read({'name': 'a', 'inner': {}}).inner == Inner(3)
    assert whole['tags'] == ['b', 2]


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ([], r'the outer must be a mapping, got \[\]; correct the outer'),
        ({}, 'name must be in the outer, got None'),
        ({'name': 'a', 'note': 'b'}, r"got \['note'\]; correct the spelling"),
        ({'name': 'a\n'}, 'name must be a word or number that can be printed'),
        ({'name': 'a', 'tags': ['b', 'b']}, 'tags must be a list of differ'),
        ({'name': 'a', 'inner': {'size': 5}}, r'inner.size must be one of'),
        ({'name': 'a', 'inner': {'x': 5}}, r'inner must have no keys but'),
    ],
)
def test_a_refusal_names_the_key(value, message):
    with pytest.raises(ValueError, match=message):
        read(value)
