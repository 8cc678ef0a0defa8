"""One process at a time works in a folder."""

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

    The operating system holds the claim: it is gone with the process, however
    that ended, and child processes do not inherit it. Claiming a folder again
    changes nothing. Where the file system or the platform has no locks, this
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
    file = open(path, 'a+', encoding='utf-8')  # noqa: SIM115
    try:
        _lock(file)
    except (BlockingIOError, PermissionError) as error:
        file.seek(0)
        holder = file.read().strip() or 'another process'
        file.close()
        raise RuntimeError(
            f'work_dir must belong to one training at a time, got {folder}, '
            f'in which {holder} is training; wait for it, stop it, or set '
            'another --work-dir'
        ) from error
    except OSError as error:
        file.close()
        print_log(
            f'{folder} cannot be locked ({error}); see to it that no other '
            'process trains in it',
            logger='current',
            level=logging.WARNING,
        )
        return
    _name_holder(file)
    _held[os.getpid(), path] = file


def _name_holder(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    file.write(
        f'process {os.getpid()} on {socket.gethostname()} '
        f'(since {time.strftime("%Y-%m-%d %H:%M:%S")})\n'
    )
    file.flush()


def release_folder(folder: str | os.PathLike[str]) -> None:
    """Give a claim up; without one nothing happens.

    Args:
        folder: The folder.
    """
    path = Path(folder).resolve() / _NAME
    file = _held.pop((os.getpid(), path), None)
    if file is not None:
        file.close()


def _lock(file: IO[str]) -> None:
    if sys.platform == 'win32':
        raise OSError('this platform has no such locks')
    import fcntl

    # Not flock: forked workers of a data loader would share and prolong it.
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
