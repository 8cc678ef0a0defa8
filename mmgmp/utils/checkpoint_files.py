"""One answer to whether a checkpoint file is whole, and one way to read it.

PyTorch's own loader does not compare the checksums in a file, so that a
rotten one gives wrong numbers, and believes every size that it is told.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import torch
from mmengine.logging import print_log

from mmgmp.utils.checkpoint_pickle import PickleSizes

#: Longest pickle in a checkpoint; what is large is stored beside it.
MAX_PICKLE = 1 << 29
_ZIP = b'PK\x03\x04'
#: How files begin that PyTorch wrote before 1.6: its magic number, pickled.
_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
_LEGACY_PICKLES = 5
# What is raised depends on which byte is wrong.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def read_checkpoint(
    path: str | os.PathLike[str], map_location: Any = 'cpu'
) -> Any:
    """Read a checkpoint that is whole, with PyTorch's restricted unpickler.

    Checksums are compared and sizes checked against the file before anything
    is built; nothing in the file can run. It takes no more memory than five
    times the file's size and 0.5 GiB.

    Args:
        path: Local file.
        map_location: As in ``torch.load``.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is damaged, claims more than it holds, or holds more
            than tensors and harmless objects; the message names file and
            reason.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save({'a': torch.ones(2)}, f'{folder}/a.pth')
        ...     read_checkpoint(f'{folder}/a.pth')
        {'a': tensor([1., 1.])}
    """
    path = Path(path)
    _check_bytes(path)
    content = _load(path, map_location)
    if is_legacy(path):
        print_log(
            f'{path} has the format of PyTorch before 1.6, without checksums: '
            'damage to its numbers cannot be noticed',
            logger='current',
            level=logging.WARNING,
        )
    return content


def check_checkpoint(path: str | os.PathLike[str]) -> None:
    """Check that a file is a whole checkpoint that can be loaded.

    Reads it once; the tensors are not kept.

    Args:
        path: Local file.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: As in :func:`read_checkpoint`.
    """
    path = Path(path)
    _check_bytes(path)
    _load(path, 'cpu' if is_legacy(path) else 'meta')


def is_intact(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a whole checkpoint that can be loaded.

    Args:
        path: Any path.

    Example:
        >>> is_intact('/no/such/file.pth')
        False
    """
    try:
        check_checkpoint(path)
    except OSError:
        return False
    return True


def is_legacy(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is of PyTorch's old format without checksums.

    Args:
        path: Existing file.
    """
    with open(path, 'rb') as file:
        return file.read(len(_LEGACY)) == _LEGACY


def _load(path: Path, map_location: Any) -> Any:
    try:
        # From memory, an old file is not taken for one of a still older
        # format that is unpacked to the disk.
        source = io.BytesIO(path.read_bytes()) if is_legacy(path) else path
        return torch.load(source, map_location, weights_only=True)
    except _DAMAGE as error:
        # PyTorch adds advice that nobody should follow with such a file.
        text = str(error).rpartition('WeightsUnpickler error: ')[2]
        reason = (
            f'{type(error).__name__}: {text.strip().partition(chr(10))[0]}'
        )
        raise _refusal(path, f'cannot be loaded ({reason})') from error


def _refusal(path: Path, reason: str) -> OSError:
    return OSError(
        f'{path} must be a whole checkpoint, got one that {reason}; copy or '
        'fetch it again, or name another'
    )


def _check_bytes(path: Path) -> None:
    """Check what can be checked without building anything."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} must be a checkpoint, got no file')
    size = path.stat().st_size
    try:
        with open(path, 'rb') as file:
            head = file.read(len(_LEGACY))
            file.seek(0)
            if path.suffix == '.safetensors':
                raise ValueError('is no file of PyTorch: convert it first')
            if head == _LEGACY:
                _check_legacy(file, size)
            elif head.startswith(_ZIP):
                _check_zip(file, size)
            else:
                raise ValueError(f'is no checkpoint; it has {size} bytes')
    except _DAMAGE as error:
        reason = str(error) if type(error) is ValueError else repr(error)
        raise _refusal(path, reason) from error


def _check_legacy(file: IO[bytes], size: int) -> None:
    sizes = PickleSizes(size)
    for _ in range(_LEGACY_PICKLES):
        sizes.follow(file)
    claimed, held = sum(sizes.storages.values()), size - file.tell()
    if claimed > held:
        raise ValueError(f'has {held} of {claimed} bytes of its tensors')


def _check_zip(file: IO[bytes], size: int) -> None:
    with zipfile.ZipFile(file) as archive:
        records = _records(archive, size)
    # PyTorch's own reader: where the two disagree about a damaged file, what
    # counts is what it will read.
    reader = torch._C.PyTorchFileReader(file.name)
    for name, info in records.items():
        content = reader.get_record(name)
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise ValueError(f'is damaged: wrong checksum of {name}')
    stream = io.BytesIO(reader.get_record('data.pkl'))
    sizes = PickleSizes(size)
    sizes.follow(stream)
    if stream.read(1):
        raise ValueError('has something behind its pickle')
    for key, claimed in sizes.storages.items():
        record = records.get(f'data/{key}')
        held = 0 if record is None else record.file_size
        if record is None or held != claimed:
            raise ValueError(f'has {held} of {claimed} bytes of tensor {key}')


def _records(
    archive: zipfile.ZipFile, size: int
) -> dict[str, zipfile.ZipInfo]:
    """Records by name; all of them together are not more than the file."""
    infos = archive.infolist()
    if any(
        info.compress_type != zipfile.ZIP_STORED
        or info.compress_size != info.file_size
        for info in infos
    ):
        raise ValueError('is compressed, which PyTorch does not do')
    claimed = sum(info.file_size for info in infos)
    if claimed > size:
        raise ValueError(f'has {size} bytes and claims {claimed}')
    folders = {info.filename.partition('/')[0] for info in infos}
    names = {info.filename.lower() for info in infos}
    # Other readers of the same bytes may choose others among these.
    if (
        len(folders) != 1
        or len(names) != len(infos)
        or min(info.header_offset for info in infos) != 0
        or archive.comment
    ):
        raise ValueError('can be read in more than one way')
    records = {info.filename.partition('/')[2]: info for info in infos}
    if 'constants.pkl' in records:
        raise ValueError('is a TorchScript archive, which is code')
    if 'data.pkl' not in records:
        raise ValueError('is a zip file, but no checkpoint')
    if records['data.pkl'].file_size > MAX_PICKLE:
        raise ValueError(f'has a pickle of more than {MAX_PICKLE} bytes')
    return records
