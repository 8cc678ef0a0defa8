"""Each message that is kept off the screen is still said upstream."""

from __future__ import annotations

import ast
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.fileio import FileClient
from mmengine.logging import MMLogger

from mmgmp.utils.compat.quiet_log import (
    OPENINGS,
    REMARKS,
    WARNINGS,
    OffScreen,
    quiet_screen,
    quiet_warnings,
)


@pytest.fixture
def messages():
    """What MMEngine's current logger is given."""
    logger = MMLogger.get_current_instance()
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def test_the_remarks_on_files_are_mmengines(messages, monkeypatch):
    monkeypatch.setattr(FileClient, '_instances', {})
    FileClient(backend='disk')
    assert len(messages) == 2
    assert set(messages) < REMARKS


@pytest.mark.parametrize('name', WARNINGS)
def test_the_warnings_are_said_upstream(name):
    """Word for word; their modules are imported once only."""
    source = Path(find_spec(name).origin).read_text()
    said = [
        ast.literal_eval(call.args[0])
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == 'warnings.warn'
        and isinstance(call.args[0], ast.Constant)
    ]
    assert WARNINGS[name] in said
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        quiet_warnings()
        for text in (WARNINGS[name], 'another'):
            warnings.warn_explicit(text, UserWarning, 'file', 1, name)
    assert [str(w.message) for w in found] == ['another']


def test_files_get_everything(tmp_path, capsys):
    path = tmp_path / 'run.log'
    logger = MMLogger('quiet', logger_name='quiet', log_file=str(path))
    for _ in range(2):
        quiet_screen(logger)
    counts = [
        sum(isinstance(part, OffScreen) for part in handler.filters)
        for handler in logger.handlers
    ]
    assert counts == [1, 0]
    for text in (*OPENINGS, *REMARKS, 'Config is new', 'a loss'):
        logger.info(text)
    out = capsys.readouterr()
    screen = out.out + out.err
    written = path.read_text()
    for text in (*OPENINGS, *REMARKS):
        assert text in written
        assert text not in screen
    assert 'Config is new' in screen
    assert 'a loss' in screen


def test_only_whole_remarks_are_dropped():
    record = logging.makeLogRecord(dict(msg='Hooks will be late'))
    assert OffScreen().filter(record)
