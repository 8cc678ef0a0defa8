"""Read text that others wrote: nothing runs, nothing is guessed."""

from __future__ import annotations

import codecs
import json
import os
from collections import Counter
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import yaml
from mmengine.fileio import get
from mmengine.logging import print_log
from numpy.typing import NDArray

# The one for UTF-16 is the beginning of the one for UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
#: Values that a short YAML file may stand for once its aliases are followed.
_MAX_VALUES = 100_000

Path = str | os.PathLike[str]


def read_text(path: Path) -> str:
    r"""Read a text file in UTF-8, or in what its byte order mark says.

    Args:
        path: Local file, or any that MMEngine has a backend for.

    Returns:
        The text without the mark, line ends as they are.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no text; the message names the file.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     size = file.write(b'\xef\xbb\xbfid')
        ...     file.flush()
        ...     read_text(file.name)
        'id'
    """
    content = get(os.fspath(path))
    encoding = next(
        (name for mark, name in _MARKS if content.startswith(mark)), 'utf-8'
    )
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path} must be a text file in UTF-8, got bytes that are none '
            f'({error}); save it as UTF-8'
        ) from error
    if '\0' in text:
        raise ValueError(
            f'{path} must be a text file in UTF-8, got zero bytes, as in '
            'UTF-16 without a byte order mark; save it as UTF-8'
        )
    return text


def read_json(path: Path, allow_nan: bool = False) -> Any:
    """Read a JSON file strictly.

    Args:
        path: The file.
        allow_nan: Whether ``NaN`` and ``Infinity``, which are no JSON but
            which Python writes, are read.

    Returns:
        Its content.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no JSON, or a key stands twice in one object, of
            which the standard reader drops the first; the message names the
            file.
    """
    text = read_text(path)
    return parse_json(text, os.fspath(path), allow_nan)


def parse_json(text: str, source: str, allow_nan: bool = False) -> Any:
    """Read JSON strictly.

    Args:
        text: The JSON.
        source: Where it is from, for the message.
        allow_nan: As in :func:`read_json`.

    Returns:
        The content.

    Raises:
        ValueError: As in :func:`read_json`.

    Example:
        >>> parse_json('{"label": 0, "label": 1}', 'a.json')
        Traceback (most recent call last):
        ValueError: a.json must be JSON, got ['label'] twice in one object; \
write it again
    """
    constant = None if allow_nan else _refuse_constant
    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=constant
        )
    except RecursionError as error:
        raise ValueError(
            f'{source} must be JSON, got one nested too deeply to be read; '
            'write it again'
        ) from error
    except json.JSONDecodeError as error:
        raise ValueError(
            f'{source} is no complete JSON ({error}); write it again'
        ) from error
    except ValueError as error:
        raise ValueError(
            f'{source} must be JSON, got {error}; write it again'
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f'{name}, which is no number')


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = _repeated(name for name, _ in pairs)
        raise ValueError(f'{twice} twice in one object')
    return found


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


class _OnceLoader(yaml.SafeLoader):
    """Builds plain data only, and takes every key once."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        """Refuse a key that would replace an earlier one without a word."""
        twice = _repeated(
            key.value
            for key, _ in node.value
            if isinstance(key, yaml.ScalarNode)
        )
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f'{twice} twice in one mapping', node.start_mark
            )
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML file, or a JSON file, which is YAML too.

    Tags that name Python objects are refused.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no YAML of plain data, a key stands twice, or
            aliases make it grow beyond bounds; the message names the file.
    """
    text = read_text(path)
    try:
        content = yaml.load(text, _OnceLoader)
        # Without aliases every value takes at least one character.
        bound = max(_MAX_VALUES, len(text))
        is_bounded = _is_bounded(content, bound)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        words = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(
            f'{path} must be YAML of plain data, got {words}; write plain '
            'values, and what needs Python into a Python file'
        ) from error
    if not is_bounded:
        raise ValueError(
            f'{path} must stand for at most {bound} values, got more '
            'through its aliases; write it without them'
        )
    return content


def _is_bounded(content: Any, bound: int) -> bool:
    """Follow aliases as whoever reads the content will."""
    waiting, count = [content], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > bound:
            return False
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set)):
            waiting += value
    return True


def read_columns(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read a CSV file of numbers with one line of names.

    A last line without its end was being written when the writer was killed;
    it is left out.

    Args:
        path: The file.

    Returns:
        Columns by name, of equal length; empty cells are NaN.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If a line does not fit the names or a cell is no number;
            the message names the file.
    """
    lines = read_text(path).splitlines(keepends=True)
    if lines and not lines[-1].endswith('\n'):
        lines.pop()
    names = lines[0].strip().split(',') if lines else []
    if not names or len(set(names)) < len(names) or '' in names:
        raise ValueError(
            f'{path} must begin with the names of its columns, once each, '
            f'got {names}; take the file away, or restore it'
        )
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            row = [float(c) if c else np.nan for c in line.strip().split(',')]
        except ValueError as error:
            raise ValueError(
                f'{path}:{number}: {error}; take the file away, or restore it'
            ) from error
        if len(row) != len(names):
            raise ValueError(
                f'{path}:{number}: must have {len(names)} cells, got '
                f'{len(row)}; take the file away, or restore it'
            )
        rows.append(row)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return {name: table[:, place] for place, name in enumerate(names)}


@lru_cache(maxsize=1000)
def warn_once(message: str) -> None:
    """Log a warning, and the same one not again in this process.

    Args:
        message: The warning.
    """
    print_log(message, logger='current', level=30)
