"""One process at a time works in a folder.

The operating system holds a claim: it is gone with its processes, however
they ended.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO

from mmengine.logging import print_log

_NAME = '.training.lock'
# Closing any of its descriptors gives a process's lock of a file up, so each
# process has one per folder.
_held: dict[tuple[int, Path], IO[str]] = {}


def claim_folder(folder: str | os.PathLike[str]) -> None:
    """Claim a folder for this process until it ends or releases it.

    Child processes do not inherit the claim. Claiming a folder again changes
    nothing. Where the file system or the platform has no locks, this
    is logged and the folder is not guarded.

    Args:
        folder: Existing folder; ``.training.lock`` in it names the holder.

    Raises:
        RuntimeError: If another process has claimed it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     claim_folder(folder)
        ...     release_folder(folder)
    """
    path = Path(folder).resolve() / _NAME
    if (os.getpid(), path) in _held:
        return
    try:
        file = lock_file(path)
    except OSError as error:
        print_log(
            f'{folder} cannot be locked ({error}); see to it that no other '
            'process trains in it',
            logger='current',
            level=logging.WARNING,
        )
        return
    if file is None:
        holder = read_holder(path) or 'another process'
        raise RuntimeError(
            f'work_dir must belong to one training at a time, got {folder}, '
            f'in which {holder} is training; wait for it, stop it, or set '
            'another --work-dir'
        )
    now = time.strftime('%Y-%m-%d %H:%M:%S')
    name = f'process {os.getpid()} on {socket.gethostname()}'
    write_holder(file, f'{name} (since {now})')
    _held[os.getpid(), path] = file


def release_folder(folder: str | os.PathLike[str]) -> None:
    """Give a claim up; without one nothing happens.

    Args:
        folder: The folder.
    """
    path = Path(folder).resolve() / _NAME
    file = _held.pop((os.getpid(), path), None)
    if file is not None:
        file.close()


def lock_file(path: Path, inherited: bool = False) -> IO[str] | None:
    """Lock a file until it is closed, or the process is gone.

    Args:
        path: The file; made if missing.
        inherited: Whether a child process that is handed the open file holds
            the lock, too, and keeps it when this process is gone.

    Returns:
        The open file, or None if another process has locked it.

    Raises:
        OSError: If the file system or the platform has no locks.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'lock')
        ...     with lock_file(path, inherited=True):
        ...         lock_file(path, inherited=True)
    """
    if sys.platform == 'win32':
        raise OSError('this platform has no such locks')
    import fcntl

    # Forked workers of a data loader would share and prolong a flock.
    lock = fcntl.flock if inherited else fcntl.lockf
    file = open(path, 'a+', encoding='utf-8')  # noqa: SIM115
    try:
        lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except OSError:
        file.close()
        raise
    return file


def write_holder(file: IO[str], name: str) -> None:
    """Write into a locked file who holds it."""
    file.truncate(0)
    file.write(f'{name}\n')
    file.flush()


def read_holder(path: Path) -> str:
    """Return who holds a locked file, ``''`` if that is not known."""
    try:
        return path.read_text(encoding='utf-8').strip()
    except OSError:
        return ''
