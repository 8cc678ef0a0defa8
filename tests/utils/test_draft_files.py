from __future__ import annotations

import pytest

from mmgmp.utils import draft_files


def test_files_appear_together_and_nothing_else(tmp_path):
    paths = [tmp_path / 'a.txt', tmp_path / 'new' / 'b.txt']
    with draft_files(*paths) as drafts:
        for draft in drafts:
            draft.write_text('x')
        assert not any(path.exists() for path in paths)
    assert [path.read_text() for path in paths] == ['x', 'x']
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.txt', 'new']


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def write() -> None:
        with draft_files(path, tmp_path / 'b.txt') as [draft, _]:
            draft.write_text('half')
            raise RuntimeError('full')

    with pytest.raises(RuntimeError, match='full'):
        write()
    assert path.read_text() == 'old'
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_a_folder_in_the_way_is_named_before_anything_is_replaced(tmp_path):
    path, folder = tmp_path / 'a.txt', tmp_path / 'b.txt'
    path.write_text('old')
    folder.mkdir()

    def write() -> None:
        with draft_files(path, folder) as drafts:
            for draft in drafts:
                draft.write_text('new')

    with pytest.raises(IsADirectoryError, match=r'b.txt must be a file'):
        write()
    assert path.read_text() == 'old'
