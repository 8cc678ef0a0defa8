"""Reading and writing of the files that hold maps."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mmgmp.utils.draft_files import draft_files
from mmgmp.utils.feature_cache.manifest import CacheMismatchError, Part

_KEY = 'mmgmp'


class UnreadableClipError(OSError):
    """A clip whose media could not be read when the cache was filled."""


@dataclass
class Shard:
    """What one file holds.

    Args:
        maps: Per modality one tensor per pathway, ``(rows, views, clips, C,
            ...)``; rows are those clips of the shard that have the modality.
        present: Per modality the places of its rows among the shard's clips.
        unreadable: What was wrong, by place.
    """

    maps: Mapping[str, tuple[Tensor, ...]]
    present: Mapping[str, list[int]]
    unreadable: Mapping[int, str] = field(default_factory=dict)


def shard_path(folder: str | os.PathLike[str], part: str, number: int) -> Path:
    """Name the file of a shard.

    Args:
        folder: The cache.
        part: Name of the part.
        number: Of the shard, from 0.

    Example:
        >>> shard_path('cache', 'train', 3).name
        'train-00003.safetensors'
    """
    return Path(folder, f'{part}-{number:05d}.safetensors')


def write_shard(path: Path, shard: Shard) -> None:
    """Write a file, whole or not at all, and see it on the disk.

    Args:
        path: Where to.
        shard: What to write.
    """
    from safetensors.torch import save_file

    tensors = {
        f'{modality}.{pathway}': tensor.contiguous()
        for modality, maps in shard.maps.items()
        for pathway, tensor in enumerate(maps)
    }
    about = {
        'present': dict(shard.present),
        'unreadable': {str(k): v for k, v in shard.unreadable.items()},
    }
    with draft_files(path) as [draft]:
        save_file(tensors, draft, metadata={_KEY: json.dumps(about)})
        with open(draft, 'rb+') as file:
            os.fsync(file.fileno())


class _OpenShard:
    """One file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        # Mapped, so that all processes share the pages that are in use.
        self.file: Any = safe_open(path, framework='pt', device='cpu')
        self.file = self.file.__enter__()
        about = json.loads(self.file.metadata()[_KEY])
        self.unreadable: dict[str, str] = about['unreadable']
        self.rows = {
            modality: {place: row for row, place in enumerate(places)}
            for modality, places in about['present'].items()
        }
        self.slices: dict[str, list[Any]] = {}

    def read(self, modality: str, place: int, view: int) -> list[Tensor]:
        """Maps of one view of one clip, none if it lacks the modality."""
        row = self.rows.get(modality, {}).get(place)
        if row is None:
            return []
        if modality not in self.slices:
            keys = [
                key
                for key in sorted(self.file.keys())
                if key.rpartition('.')[0] == modality
            ]
            self.slices[modality] = [self.file.get_slice(k) for k in keys]
        return [
            part[row : row + 1, view : view + 1][0, 0]
            for part in self.slices[modality]
        ]


class CacheReader:
    """Maps of clips by id; what it opens stays open, in each process.

    Args:
        folder: The cache.
        name: Of the part.
        part: The part.

    Raises:
        FileNotFoundError: If a file is missing: the cache is not filled.
    """

    def __init__(
        self, folder: str | os.PathLike[str], name: str, part: Part
    ) -> None:
        self.folder = Path(folder)
        self.name = name
        self.part = part
        self._places = {clip: i for i, clip in enumerate(part.clips)}
        self._open: dict[int, _OpenShard] = {}
        for number in range(part.num_shards):
            path = shard_path(folder, name, number)
            if not path.is_file():
                raise FileNotFoundError(
                    f'protocol.cache={folder} is not filled, {path.name} is '
                    'missing; run tools/cache_features.py with the options '
                    'that began it, it goes on where it stopped'
                )

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files to the process that opened them."""
        return {**self.__dict__, '_open': {}}

    def read(
        self, clip: str, view: int, modality: str
    ) -> tuple[Tensor, ...] | None:
        """Read one view.

        Args:
            clip: Its id.
            view: Number of the view.
            modality: Name of the modality.

        Returns:
            ``(clips, C, ...)`` per pathway; None if the clip lacks the
            modality.

        Raises:
            CacheMismatchError: If the cache does not have the clip.
            UnreadableClipError: If it could not be read when the cache was
                filled.
        """
        if clip not in self._places:
            raise CacheMismatchError(
                f'{self.folder} has no clip {clip!r} in its part {self.name}; '
                'it was filled from other annotation files, fill another one'
            )
        number, place = divmod(self._places[clip], self.part.clips_per_shard)
        if number not in self._open:
            path = shard_path(self.folder, self.name, number)
            self._open[number] = _OpenShard(path)
        shard = self._open[number]
        if str(place) in shard.unreadable:
            raise UnreadableClipError(shard.unreadable[str(place)])
        maps = shard.read(modality, place, view)
        return tuple(maps) if maps else None
