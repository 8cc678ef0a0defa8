from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmgmp.utils import import_submodules


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package ``toy_room`` that can be imported."""
    folder = tmp_path / 'toy_room'
    folder.mkdir()
    (folder / '__init__.py').write_text('order = []\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [n for n in sys.modules if n.split('.')[0] == 'toy_room']:
        del sys.modules[name]


def test_imports_every_module_in_alphabetical_order(room: Path) -> None:
    for name in ('b', 'a', 'c'):
        (room / f'{name}.py').write_text(
            f'import toy_room\ntoy_room.order.append({name!r})\n'
        )

    names = import_submodules('toy_room', [str(room)])

    assert names == ['toy_room.a', 'toy_room.b', 'toy_room.c']
    assert sys.modules['toy_room'].order == ['a', 'b', 'c']


def test_a_broken_file_is_not_skipped(room: Path) -> None:
    (room / 'broken.py').write_text('raise ZeroDivisionError("broken")\n')

    with pytest.raises(ZeroDivisionError, match='broken'):
        import_submodules('toy_room', [str(room)])
