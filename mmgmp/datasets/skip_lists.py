"""Lists of samples that a dataset leaves out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath
from typing import Any

from mmgmp.datasets.annotations import resolve
from mmgmp.utils.text_files import parse_json, read_text


def read_skip_list(
    skip_list: str | Sequence[str] | None, root: str
) -> set[str]:
    """Read the ids that a dataset leaves out.

    Args:
        skip_list: Path of a JSON list, or of a text file with one id per
            line, or the ids themselves.
        root: Data root that a relative path is joined to.

    Returns:
        The ids; of a text file the lines as they are, empty ones left out.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If it is no list of texts.
        ValueError: If the file is no text, no JSON, or no list of texts.

    Example:
        >>> read_skip_list(['human/a'], '')
        {'human/a'}
    """
    if skip_list is None or not isinstance(skip_list, str):
        return _check_ids(skip_list or ())
    path = resolve(skip_list, root)
    try:
        text = read_text(path)
        if PurePath(path).suffix.lower() == '.json':
            return _check_ids(parse_json(text, path))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'skip_list: {path} does not exist; it is a file of sample ids, '
            'None skips nothing'
        ) from error
    except TypeError as error:
        raise ValueError(f'{error}; correct {path}') from error
    except ValueError as error:
        raise ValueError(f'skip_list: {error}') from error
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    return {line for line in lines if line.strip()}


def _check_ids(ids: Any) -> set[str]:
    is_list = isinstance(ids, (list, tuple, set, frozenset))
    if not is_list or not all(isinstance(name, str) for name in ids):
        raise TypeError(
            f'skip_list must be a list of sample ids, texts, got {ids!r:.200}'
            '; for example ["human/clip 1"]'
        )
    return set(ids)


def find_skipped(
    listed: Iterable[str], ids: Collection[str]
) -> tuple[set[str], set[str]]:
    """Find the samples that a list means.

    Args:
        listed: What :func:`read_skip_list` returned.
        ids: Ids of all samples.

    Returns:
        The ids to leave out, and what of the list is none of the ids. Blanks
        at the ends of a line count only if an id has them.

    Example:
        >>> found, unknown = find_skipped(['a ', 'b '], ['a', 'b '])
        >>> sorted(found), unknown
        (['a', 'b '], set())
    """
    ids = set(ids)
    by_form: dict[str, set[str]] = {}
    for sample_id in ids:
        by_form.setdefault(sample_id.strip(), set()).add(sample_id)
    found: set[str] = set()
    unknown: set[str] = set()
    for name in listed:
        meant = {name} if name in ids else by_form.get(name.strip(), set())
        found |= meant
        if not meant:
            unknown.add(name)
    return found, unknown
