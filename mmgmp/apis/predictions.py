"""What ``test.py --dump`` wrote, read without running anything."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgmp.utils.checks import choice_text
from mmgmp.utils.inert_pickle import (
    DAMAGE,
    RefusedGlobalError,
    StandIn,
    load_inert,
    read_inert,
)

#: What MMEngine's ``DumpResults`` writes besides plain data.
_ALLOWED = frozenset(
    {
        ('_codecs', 'encode'),
        ('collections', 'OrderedDict'),
        ('torch._utils', '_rebuild_tensor_v2'),
        ('torch.storage', '_load_from_bytes'),
        # A user's transform may put these into the meta information.
        ('numpy', 'dtype'),
        ('numpy', 'ndarray'),
        ('numpy.core.multiarray', '_reconstruct'),
        ('numpy.core.multiarray', 'scalar'),
        ('numpy._core.multiarray', '_reconstruct'),
        ('numpy._core.multiarray', 'scalar'),
    }
)
#: What a tensor's file begins with: magic number and version of PyTorch.
_MAGIC = (0x1950A86A20F9469CFC6C, 1001)
_DTYPES = {
    'BFloat16Storage': '<u2',
    'BoolStorage': '?',
    'ByteStorage': 'u1',
    'CharStorage': 'i1',
    'DoubleStorage': '<f8',
    'FloatStorage': '<f4',
    'HalfStorage': '<f2',
    'IntStorage': '<i4',
    'LongStorage': '<i8',
    'ShortStorage': '<i2',
}
_STORAGES = frozenset(('torch', name) for name in _DTYPES)


@dataclass(frozen=True)
class Predictions:
    """What ``test.py --dump`` wrote.

    Args:
        labels: True classes, ``(N,)``.
        predicted: Predicted classes of one branch, ``(N,)``.
        domains: Domain of each sample.
        ids: Id of each sample, ``''`` if it has none.
        scores: Class probabilities of that branch, ``(N, K)``.
        modalities: Branches of the model.
    """

    labels: NDArray[np.int_]
    predicted: NDArray[np.int_]
    domains: Sequence[str]
    ids: Sequence[str] = ()
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    modalities: Sequence[str] = ()

    def accuracy_by(self, keys: Sequence[Any]) -> dict[Any, float]:
        """Return the accuracy of each group.

        Args:
            keys: Group of each sample.

        Example:
            >>> p = Predictions(np.array([0, 1]), np.array([0, 0]), ['a', 'a'])
            >>> p.accuracy_by(p.domains)
            {'a': 0.5}
        """
        is_right = self.labels == self.predicted
        groups = np.asarray(keys)
        return {
            key: float(is_right[groups == key].mean())
            for key in dict.fromkeys(keys)
        }


def read_predictions(path: str | Path, branch: str = '') -> Predictions:
    """Read a dump of ``test.py``.

    Nothing that the pickle names is looked up or run; one that names more
    than such a dump holds is refused.

    Args:
        path: Pickle file.
        branch: Modality whose branch is read, ``''`` for the fused model.

    Returns:
        The predictions.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no such dump, or the model has no such branch.
    """
    try:
        samples = read_inert(path, _ALLOWED)
        known = list(samples[0].get('modality_scores', {}))
        if not branch or branch in known:
            return _predictions(samples, branch, known)
    except RefusedGlobalError as error:
        raise ValueError(
            f'{path} is refused, {error}, which no dump of test.py does: it '
            'may be made to run a program; write the dump again with '
            'test.py --dump'
        ) from error
    except DAMAGE as error:
        raise ValueError(
            f'{path} is no dump of test.py, or is damaged ({error!r}); write '
            'it again with test.py --dump'
        ) from error
    raise ValueError(
        choice_text('--branch', branch, known, f'{path} has no other')
    )


def _predictions(
    samples: Sequence[Any], branch: str, modalities: Sequence[str]
) -> Predictions:
    labels, rows = [], []
    domains: list[str] = []
    ids: list[str] = []
    size = 0
    for number, sample in enumerate(samples):
        scores = _numbers(
            sample['modality_scores'][branch]
            if branch
            else sample['pred_score']
        )
        (label,) = _numbers(sample['gt_label'])
        size = size or len(scores)
        is_right = len(scores) == size and all(map(math.isfinite, scores))
        if not is_right or label not in range(size):
            raise ValueError(
                f'sample {number} has label {label} and scores {scores}'
            )
        labels.append(int(label))
        rows.append(scores)
        for key, texts in (('domain', domains), ('sample_id', ids)):
            text = sample.get(key, '')
            if not isinstance(text, str):
                raise TypeError(f'sample {number} has {key} {text!r:.200}')
            texts.append(text)
    table = np.array(rows, dtype=np.float64)
    predicted = table.argmax(1)
    return Predictions(
        np.array(labels), predicted, domains, ids, table, tuple(modalities)
    )


def _numbers(value: Any) -> list[float]:
    """Take the numbers out of a number or a vector that was pickled."""
    if isinstance(value, (int, float)):
        return [value]
    if type(value).__name__ != '_rebuild_tensor_v2':
        raise TypeError(f'expected a tensor, got {type(value).__name__}')
    storage, first, size, strides, *_ = value.args
    flat = _storage(storage)
    (length,) = size or (1,)
    (stride,) = strides or (1,)
    found: list[float] = flat[first::stride][:length].tolist()
    if min(first, length - 1) < 0 or len(found) != length:
        raise ValueError(f'{len(flat)} numbers are no tensor of shape {size}')
    return found


def _storage(value: StandIn) -> NDArray[Any]:
    """Read the numbers of a tensor, which are pickled as a file of PyTorch.

    That file is five pickles, then a length and the numbers.
    """
    (content,) = value.args
    if isinstance(content, StandIn):  # how the older protocols write bytes
        text, encoding = content.args
        if encoding != 'latin1':
            raise ValueError(f'bytes are encoded as {encoding!r:.200}')
        content = text.encode('latin1')
    stream = io.BytesIO(content)
    magic, protocol, system, described, _ = (
        load_inert(stream, _STORAGES) for _ in range(5)
    )
    if (magic, protocol) != _MAGIC or not system['little_endian']:
        raise ValueError('a tensor is of another version or machine')
    ((_, kind, _, _, length, _),) = described.args
    dtype = _DTYPES[kind.__name__]
    count = int.from_bytes(stream.read(8), 'little')
    data = stream.read()
    if count != length or len(data) != length * np.dtype(dtype).itemsize:
        raise ValueError(f'{len(data)} bytes are no tensor of {length}')
    numbers = np.frombuffer(data, dtype)
    if kind.__name__ == 'BFloat16Storage':
        # The upper half of a float32.
        numbers = (numbers.astype('<u4') << 16).view('<f4')
    return numbers
