"""Checkpoints that a killed run cannot break."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmgmp.registry import HOOKS
from mmgmp.utils import draft_files
from mmgmp.utils.checkpoint_files import check_checkpoint, is_intact
from mmgmp.utils.compat import drop_config_text
from mmgmp.utils.compat.private_names import (
    has_built,
    is_resuming,
    named_checkpoint,
)
from mmgmp.utils.config_data import CONFIG_KEY, config_to_text
from mmgmp.utils.folder_lock import claim_folder, release_folder


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


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, with the last checkpoint always whole.

    - A checkpoint on a local disk is written under a hidden name and renamed
      when it is complete.
    - Outdated checkpoints are removed after the new one is there, not
      before.
    - ``--resume`` looks whether the last checkpoint can be loaded; if not,
      it says so and takes the newest one before it that can.
    - One training at a time works in a work directory; a second one is
      refused. Testing in it is allowed, for it writes other files.
    - Each checkpoint holds the config as JSON in ``meta['config_json']``,
      for inference. MMEngine's own copy is Python source and stays as it is;
      nothing here executes it.
    - What a resumed checkpoint says about other files counts in this run's
      folder only, so that nothing elsewhere is deleted.

    Args:
        backend_args: As in ``CheckpointHook``; None writes as said above.
        **kwargs: Arguments of ``CheckpointHook``.

    Raises:
        OSError: If the checkpoint that ``--resume`` names is damaged.
        RuntimeError: If another process trains in the work directory.

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

    # -- the run ----------------------------------------------------------

    def before_run(self, runner: Runner) -> None:
        """Claim the work directory, and find a checkpoint to resume from.

        Args:
            runner: Runner, about to look for its checkpoint.
        """
        if not has_built(runner, 'train'):
            return
        self._claim(runner)
        if not is_resuming(runner):
            return
        path = named_checkpoint(runner)
        if path is None:
            if is_main_process():
                self._repair(Path(runner.work_dir))
            barrier()
        elif Path(path).is_file():
            self._check_named(Path(path))

    def before_train(self, runner: Runner) -> None:
        """Take over what a resumed checkpoint says about checkpoints.

        Args:
            runner: Runner of the training.
        """
        hub = runner.message_hub
        kept = hub.runtime_info.get('keep_ckpt_ids')
        if kept is not None:
            is_list = isinstance(kept, list)
            steps = [k for k in kept if type(k) is int] if is_list else []
            hub.update_info('keep_ckpt_ids', steps)
        super().before_train(runner)
        self.best_ckpt_path = self._here(getattr(self, 'best_ckpt_path', None))
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = self._here(path)
        last = self._here(hub.runtime_info.get('last_ckpt'))
        if runner.iter > 0 and last and self.file_backend.isfile(last):
            # MMEngine forgets it, and then does not write the last
            # checkpoint again after a validation that found a better model.
            self.last_ckpt = last

    def after_run(self, runner: Runner) -> None:
        """Give the work directory up.

        Args:
            runner: Runner of the training.
        """
        release_folder(runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the config as data.

        Args:
            runner: Runner of the training.
            checkpoint: What is about to be written.
        """
        try:
            text = config_to_text(runner.cfg.to_dict())
        except TypeError as error:
            runner.logger.warning(
                'The checkpoint does not hold its config as data, so that '
                f'inference needs the config file: {error}, where JSON has '
                'strings, numbers, lists and dicts'
            )
            return
        checkpoint['meta'][CONFIG_KEY] = text

    def after_load_checkpoint(
        self,
        runner: Runner,  # noqa: ARG002
        checkpoint: dict,
    ) -> None:
        """Take out what MMEngine would execute, also of remote files.

        Args:
            runner: Not used.
            checkpoint: What was read.
        """
        drop_config_text(checkpoint)

    # -- parts ------------------------------------------------------------

    def _claim(self, runner: Runner) -> None:
        problems: list[str | None] = [None]
        if is_main_process():
            try:
                claim_folder(runner.work_dir)
            except RuntimeError as error:
                problems = [str(error)]
        broadcast_object_list(problems)
        if problems[0] is not None:
            raise RuntimeError(problems[0])

    def _here(self, path: Any) -> str | None:
        """Where a checkpoint of that name is in this run's folder."""
        name = os.path.basename(path) if isinstance(path, str) else ''
        if name in ('', '.', '..'):
            return None
        here: str = self.file_backend.join_path(self.out_dir, name)
        return here

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
        try:
            check_checkpoint(path)
        except OSError as error:
            found = self._newest_intact(path.parent)
            other = 'there is no other' if found is None else f'resume {found}'
            raise OSError(f'resume: {error}; {other}') from error

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
