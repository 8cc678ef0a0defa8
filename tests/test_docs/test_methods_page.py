"""The table of methods is complete, and its configs are there."""

from __future__ import annotations

import re

from tests.shipped import LEAVES, ROOT

PAGE = ROOT / 'docs/methods.md'


def test_every_algorithm_has_a_row():
    named = {
        word.rpartition('/')[2]
        for words in re.findall(r'`([^`]+)`', PAGE.read_text())
        for word in words.split()
    }
    algorithms = {
        path.stem.split('_')[0].removesuffix('-gmp') for path in LEAVES
    }
    assert algorithms - named == set()


def test_every_config_that_is_named_is_there():
    stems = {path.stem.split('_')[0] for path in LEAVES}
    folders = 'base|gmp|balance|dg|mmdg|fusion'
    named = re.findall(rf'`(?:{folders})/([a-z-]+)`', PAGE.read_text())
    assert len(named) > 30
    assert set(named) - stems == set()
