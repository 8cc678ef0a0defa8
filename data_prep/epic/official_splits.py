"""Read the official split pickles without trusting them, and without pandas.

A pickle is a program: loading one runs what it names. The official files name
eight things. Nothing else is looked up, and those eight are replaced by inert
stand-ins, from which the table is put together here: what NumPy and pandas do
with damaged pickles goes as far as a crash.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from mmgmp.utils.inert_pickle import (
    DAMAGE,
    RefusedGlobalError,
    StandIn,
    read_inert,
)

COLUMNS = (
    'uid',
    'participant_id',
    'video_id',
    'start_timestamp',
    'stop_timestamp',
    'start_frame',
    'stop_frame',
    'verb_class',
)
TIMESTAMP = re.compile(r'(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)')


# Every global that the six official files name, and no other.
ALLOWED = frozenset(
    {
        ('numpy', 'dtype'),
        ('numpy', 'ndarray'),
        ('numpy.core.multiarray', '_reconstruct'),
        ('pandas.core.frame', 'DataFrame'),
        ('pandas.core.indexes.base', 'Index'),
        ('pandas.core.indexes.base', '_new_Index'),
        ('pandas.core.indexes.range', 'RangeIndex'),
        ('pandas.core.internals.managers', 'BlockManager'),
    }
)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of one split file.

    Args:
        path: Pickle of a DataFrame.

    Returns:
        One dict per row, with the columns that annotations need.

    Raises:
        OSError: If the file is missing.
        ValueError: If it is no split file; the message says what is wrong,
            not in which file.
    """
    try:
        columns = _read_columns(read_inert(path, ALLOWED))
        wanted = [columns[name] for name in COLUMNS]
        return [
            dict(zip(COLUMNS, row, strict=True))
            for row in zip(*wanted, strict=True)
        ]
    except RefusedGlobalError as error:
        raise ValueError(
            f'refused, {error}, which no official split file does; download '
            'the file again, and load this one with nothing else'
        ) from error
    except DAMAGE as error:
        raise ValueError(
            f'is no split file, or is damaged ({error!r}); download it again'
        ) from error


def _read_columns(frame: StandIn) -> dict[str, list[Any]]:
    """Columns of a pickled DataFrame: blocks of rows of equal type."""
    axes, _, _, versions = frame.state['_data'].state
    names = _read_array(axes[0].args[1]['data'])
    columns = {}
    for block in versions['0.14.1']['blocks']:
        places = _read_array(block['mgr_locs'])
        values = _read_array(block['values'])
        for place, column in zip(places, values, strict=True):
            columns[names[place]] = column
    return columns


def _read_array(array: StandIn) -> list[Any]:
    """Nested lists of a pickled array of whole numbers or objects."""
    _, shape, dtype, is_fortran, content = array.state
    if dtype.args[0] == 'O8' and isinstance(content, list):
        flat = np.empty(len(content), dtype=object)
        flat[:] = content
    elif dtype.args[0] == 'i8' and isinstance(content, bytes):
        flat = np.frombuffer(content, '<i8')
    else:
        raise ValueError(f'holds values of type {dtype.args[0]!r}')
    return flat.reshape(shape, order='F' if is_fortran else 'C').tolist()


def seconds(timestamp: str) -> float:
    """Turn ``HH:MM:SS.ss`` into seconds.

    Args:
        timestamp: Position in the video.

    Returns:
        Seconds from its start.

    Raises:
        ValueError: If the text has another form.

    Example:
        >>> seconds('00:02:09.50')
        129.5
    """
    match = TIMESTAMP.fullmatch(str(timestamp))
    if match is None:
        raise ValueError(f'expected HH:MM:SS.ss, got {timestamp!r}')
    hours, minutes, rest = match.groups()
    # The sum of decimal parts is not decimal in binary; 1 us is ample.
    return round((int(hours) * 60 + int(minutes)) * 60 + float(rest), 6)
