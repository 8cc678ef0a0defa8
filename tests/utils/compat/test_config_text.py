"""The text of a config, formatted once."""

from __future__ import annotations

import yapf.yapflib.yapf_api as yapf
from mmengine.config import Config
from mmengine.config import config as module

from mmgmp.utils.compat import format_configs_once
from mmgmp.utils.compat.config_text import _remember


def test_the_text_is_mmengines(monkeypatch):
    config = Config(dict(model=dict(type='A', widths=[1, 2]), word="it's"))
    monkeypatch.setattr(module, 'FormatCode', yapf.FormatCode)
    plain = config.pretty_text
    format_configs_once()
    assert config.pretty_text == config.pretty_text == plain
    config.model.widths = [3]
    assert 'widths=[\n        3' in config.pretty_text


def test_mmengine_formats_anew_each_time(monkeypatch):
    """Fails when it does not any more: delete the repair then."""
    calls = []

    def format_code(text, **options):
        calls.append(text)
        return text, True

    monkeypatch.setattr(module, 'FormatCode', format_code)
    config = Config(dict(a=1))
    assert config.pretty_text == config.pretty_text
    assert len(calls) == 2


def test_each_text_is_formatted_once():
    calls = []

    def format_code(text, **options):
        calls.append(text)
        return text.upper(), True

    remembered = _remember(format_code)
    for _ in range(2):
        assert remembered('a', style=dict(x=1)) == ('A', True)
        assert remembered('a', style=dict(x=2)) == ('A', True)
    assert calls == ['a', 'a']
    for number in range(20):
        remembered(str(number))
    remembered('a', style=dict(x=1))
    assert calls[-1] == 'a'
