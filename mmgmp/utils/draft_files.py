"""Files that appear complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def draft_files(*paths: str | os.PathLike[str]) -> Iterator[list[Path]]:
    """Write files under hidden names, put all in place at the end.

    A run that is killed leaves at worst a hidden draft, which the next one
    writes over; a run that fails leaves the files of an earlier one as they
    were.

    Args:
        *paths: Files to write; their folders are made.

    Yields:
        For each of them a path in the same folder, to be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'a.json')
        ...     with draft_files(path) as [draft]:
        ...         size = draft.write_text('{}')
        ...     [file.name for file in path.parent.iterdir()]
        ['a.json']
    """
    targets = [Path(path) for path in paths]
    drafts = [path.with_name(f'.{path.name}.draft') for path in targets]
    for path in targets:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield drafts
        for path in targets:
            if path.is_dir():
                raise IsADirectoryError(
                    f'{path} must be a file, it is a folder; nothing written'
                )
        for draft, path in zip(drafts, targets, strict=True):
            os.replace(draft, path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def write_texts(contents: Mapping[Path, str]) -> None:
    """Write text files, all of them or none.

    Args:
        contents: Text by path, in UTF-8.

    Raises:
        OSError: If a file cannot be written; the message names it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_texts({Path(folder, 'a.txt'): 'one'})
        ...     Path(folder, 'a.txt').read_text()
        'one'
    """
    with draft_files(*contents) as drafts:
        for draft, text in zip(drafts, contents.values(), strict=True):
            draft.write_text(text, encoding='utf-8')
