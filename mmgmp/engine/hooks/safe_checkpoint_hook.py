"""Checkpoints that a killed run cannot break."""

from __future__ import annotations

import logging
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmgmp.registry import HOOKS
from mmgmp.utils import draft_files

# What zipfile raises, depending on which byte is wrong: also for a header
# that asks for a password, another compression or another alphabet.
_DAMAGE = (
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class AtomicBackend(LocalBackend):
    """Local files that appear complete or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write under a hidden name, and rename when the disk has it.

        Args:
            obj: Content.
            filepath: Where to.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     AtomicBackend().put(b'abc', f'{folder}/a.pth')
            ...     os.listdir(folder)
            ['a.pth']
        """
        with draft_files(filepath) as [draft], open(draft, 'wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())


register_backend('atomic', AtomicBackend, force=True)


def is_intact(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a complete, undamaged checkpoint.

    Reads it once and compares the checksums in it; loads nothing.

    Args:
        path: What ``torch.save`` has written.

    Example:
        >>> is_intact('/no/such/file.pth')
        False
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except _DAMAGE:
        return False


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, with the last checkpoint always whole.

    - A checkpoint on a local disk is written under a hidden name and renamed
      when it is complete.
    - Outdated checkpoints are removed after the new one is there, not
      before.
    - ``--resume`` looks whether the last checkpoint is intact; if not, it
      says so and takes the newest one before it that is.

    Args:
        backend_args: As in ``CheckpointHook``; None writes as said above.
        **kwargs: Arguments of ``CheckpointHook``.

    Raises:
        RuntimeError: If the checkpoint that ``--resume`` names is damaged.

    Example:
        >>> hook = dict(type='SafeCheckpointHook', interval=1)
        >>> HOOKS.build(hook).backend_args
        {'backend': 'atomic'}
    """

    def __init__(
        self, *args: Any, backend_args: dict | None = None, **kwargs: Any
    ) -> None:
        is_remote = '://' in str(kwargs.get('out_dir') or '')
        if (
            backend_args is None
            and not is_remote
            and kwargs.get('file_client_args') is None
        ):
            backend_args = dict(backend='atomic')
        super().__init__(*args, backend_args=backend_args, **kwargs)

    def before_run(self, runner: Runner) -> None:
        """Point a resuming run at a checkpoint that can be loaded.

        Args:
            runner: Runner, about to look for its checkpoint.
        """
        if not runner._resume:
            return
        if runner._load_from is None:
            if is_main_process():
                self._repair(Path(runner.work_dir))
            barrier()
        elif Path(runner._load_from).is_file():
            self._check_named(Path(runner._load_from))

    def _repair(self, work_dir: Path) -> None:
        pointer = work_dir / 'last_checkpoint'
        if not pointer.is_file():
            return
        recorded = pointer.read_text().strip()
        last = Path(recorded or 'last_checkpoint')
        # Checkpoints in folders or elsewhere are not ours to judge.
        if '://' in recorded or last.is_dir() or is_intact(last):
            return
        found = self._newest_intact(work_dir)
        if found is None and recorded:
            found = self._newest_intact(last.parent)
        if found is None:
            pointer.unlink()
            print_log(
                f'The last checkpoint {last} is damaged or missing and there '
                'is none before it; the run starts at its beginning',
                logger='current',
                level=logging.WARNING,
            )
            return
        with draft_files(pointer) as [draft]:
            draft.write_text(str(found))
        print_log(
            f'The last checkpoint {last} is damaged or missing, as after a '
            f'kill while it was written; resuming from {found}',
            logger='current',
            level=logging.WARNING,
        )

    def _check_named(self, path: Path) -> None:
        if is_intact(path):
            return
        found = self._newest_intact(path.parent)
        raise RuntimeError(
            f'resume must name an intact checkpoint, got {path}, which is '
            'damaged; '
            + ('there is no other' if found is None else f'resume {found}')
        )

    def _newest_intact(self, folder: Path) -> Path | None:
        newest_first = sorted(
            folder.absolute().glob(self.filename_tmpl.format('*')),
            key=lambda path: path.stat().st_mtime_ns,
            reverse=True,
        )
        return next(filter(is_intact, newest_first), None)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        with self._removals_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(
        self, runner: Runner, metrics: dict[str, Any]
    ) -> None:
        with self._removals_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removals_last(self) -> Iterator[None]:
        """Remove what MMEngine removes, but after the new file is there."""
        backend: Any = self.file_backend
        deferred = _DeferredRemovals(backend)
        self.file_backend: Any = deferred
        try:
            yield
        finally:
            self.file_backend = backend
        kept = {
            self.last_ckpt,
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values(),
        }
        for remove, path in deferred.removals:
            if path not in kept:
                remove(path)


class _DeferredRemovals:
    """A file backend that keeps a list of what to remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removals: list[tuple[Callable[[str], None], str]] = []

    def remove(self, path: str) -> None:
        self.removals.append((self._backend.remove, path))

    def rmtree(self, path: str) -> None:
        self.removals.append((self._backend.rmtree, path))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
