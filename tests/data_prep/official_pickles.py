"""Write pickles of the same form as the official EPIC split files.

Those were written by a pandas of 2021 or before; today's writes another form,
so this one is put together here, without pandas.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np


class DataFrame:
    names = 'pandas.core.frame', 'DataFrame'


class BlockManager:
    names = 'pandas.core.internals.managers', 'BlockManager'


class Index:
    names = 'pandas.core.indexes.base', 'Index'


class NewIndex:
    names = 'pandas.core.indexes.base', '_new_Index'


class RangeIndex:
    names = 'pandas.core.indexes.range', 'RangeIndex'


_RECONSTRUCT = np.zeros(1).__reduce__()[0]
_NAMES = {
    id(np.dtype): ('numpy', 'dtype'),
    id(np.ndarray): ('numpy', 'ndarray'),
    id(_RECONSTRUCT): ('numpy.core.multiarray', '_reconstruct'),
    **{
        id(kind): kind.names
        for kind in (DataFrame, BlockManager, Index, NewIndex, RangeIndex)
    },
}


def rows_of(domain: str, participant: str, count: int) -> list[dict[str, Any]]:
    """Rows as the official files have them; the first is 579 to 610."""
    return [
        {
            'uid': int(domain[1]) * 1000 + number,
            'participant_id': participant,
            'video_id': f'{participant}_{number % 3 + 1:02d}',
            'narration': 'pour water',
            'start_timestamp': '00:01:09.66',
            'stop_timestamp': '01:00:10.16',
            'start_frame': 579 + number,
            'stop_frame': 610 + number,
            'verb': 'pour',
            'verb_class': number % 8,
        }
        for number in range(count)
    ]


class _Made:
    """Something that is pickled as a call, and a state if there is one."""

    def __init__(self, *call: Any) -> None:
        self.call = call


class _OldPickler(pickle._Pickler):
    def reducer_override(self, obj: Any) -> Any:
        return getattr(obj, 'call', NotImplemented)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if id(obj) not in _NAMES:
            super().save_global(obj, name)
            return
        for word in _NAMES[id(obj)]:
            self.save(word)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)


def _made(kind: type, state: Any) -> Any:
    made = kind()
    made.call = copyreg.__newobj__, (kind,), state
    return made


def _index(names: list[str]) -> _Made:
    data = np.array(names, dtype=object)
    return _Made(NewIndex, (Index, {'data': data, 'name': None}))


def _table(rows: list[dict[str, Any]]) -> Any:
    names = list(rows[0]) if rows else []
    are_int = [all(type(row[n]) is int for row in rows) for n in names]
    steps = {'start': 0, 'stop': len(rows), 'step': 1}
    axes = [
        _index(names),
        _Made(NewIndex, (RangeIndex, {'name': None, **steps})),
    ]
    blocks, items = [], []
    for wanted, dtype in ((True, np.int64), (False, object)):
        places = [i for i, is_int in enumerate(are_int) if is_int is wanted]
        chosen = [names[i] for i in places]
        values = [[row[name] for row in rows] for name in chosen]
        array = np.array(values, dtype=dtype).reshape(len(chosen), len(rows))
        blocks.append({'values': array, 'mgr_locs': np.array(places, 'i8')})
        items.append(_index(chosen))
    values = [block['values'] for block in blocks]
    versions = {'0.14.1': {'axes': axes, 'blocks': blocks}}
    state = {
        '_data': _made(BlockManager, (axes, values, items, versions)),
        '_typ': 'dataframe',
        '_metadata': [],
        'attrs': {},
    }
    return _made(DataFrame, state)


def dumps(rows: Any) -> bytes:
    """Pickle rows as a table of integers and objects, or anything else."""
    buffer = io.BytesIO()
    table = _table(rows) if isinstance(rows, list) else rows
    _OldPickler(buffer, protocol=4).dump(table)
    return buffer.getvalue()


def write_split(folder: Path, domain: str, split: str, rows: Any) -> Path:
    path = folder / f'{domain}_{split}.pkl'
    path.write_bytes(dumps(rows))
    return path
