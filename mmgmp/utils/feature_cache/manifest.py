"""What a cache is a cache of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmgmp.utils.draft_files import draft_files

MANIFEST = 'cache.json'
_FORMAT = 1


class CacheMismatchError(ValueError):
    """A cache is of something else than what it is used for."""


@dataclass(frozen=True)
class Part:
    """The clips that one pipeline read.

    Args:
        views: Views per clip.
        pipeline: As from ``describe_pipeline``.
        clips: Ids, in the order of the shards.
        clips_per_shard: How many of them are in a file.
    """

    views: int
    pipeline: dict[str, Any]
    clips: list[str]
    clips_per_shard: int

    @property
    def num_shards(self) -> int:
        """Number of files."""
        return -(-len(self.clips) // self.clips_per_shard)


@dataclass(frozen=True)
class Manifest:
    """Everything that the maps depend on, and how they are stored.

    Args:
        package: Version of this package.
        dtype: Stored type.
        view_seed: Seed of the views.
        encoders: By modality, as from ``describe_encoder``.
        preprocessors: Normalisation by modality.
        parts: By name.
        media: By clip, as from ``identify_media``.
        made_with: Versions and settings that are worth knowing.
    """

    package: str
    dtype: str
    view_seed: int
    encoders: dict[str, Any]
    preprocessors: dict[str, Any]
    parts: dict[str, Part]
    media: dict[str, Any]
    made_with: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> dict[str, Any]:
        """Return what has to agree, as plain data."""
        values = asdict(self)
        del values['made_with']
        for clip in values['media'].values():
            for source in clip.values():
                for file in source['files'].values():
                    # A copied corpus is the same corpus.
                    (file or {}).pop('changed', None)
        plain: dict[str, Any] = json.loads(json.dumps(values, default=repr))
        return plain


def write_manifest(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write ``cache.json``, whole or not at all.

    Args:
        folder: The cache.
        manifest: What to write.
    """
    values = {'format': _FORMAT, **asdict(manifest)}
    with draft_files(Path(folder, MANIFEST)) as [draft]:
        draft.write_text(json.dumps(values, default=repr), encoding='utf-8')


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read ``cache.json``.

    Args:
        folder: The cache.

    Raises:
        FileNotFoundError: If the folder holds no cache.
        ValueError: If it is of another format.
    """
    path = Path(folder, MANIFEST)
    if not path.is_file():
        raise FileNotFoundError(
            f'protocol.cache must be a folder that tools/cache_features.py '
            f'made, got {folder}, which has no {MANIFEST}; run '
            f'tools/cache_features.py CONFIG --out {folder}'
        )
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
        if values.pop('format') != _FORMAT:
            raise KeyError('format')
        values['parts'] = {n: Part(**p) for n, p in values['parts'].items()}
        return Manifest(**values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} must be written by this version of '
            f'tools/cache_features.py, got {error!r}; fill the cache anew'
        ) from error


def differences(known: Any, wanted: Any, where: str) -> list[str]:
    """Name the places at which two plain values differ.

    Args:
        known: Of the cache.
        wanted: Of the config.
        where: Name of the whole.

    Example:
        >>> differences({'a': [1, 2]}, {'a': [1, 3]}, 'x')
        ['x.a.1 is 2 in the cache, 3 here']
    """
    return list(_differences(known, wanted, where))


def _differences(known: Any, wanted: Any, where: str) -> Iterator[str]:
    if isinstance(known, Mapping) and isinstance(wanted, Mapping):
        for key in dict.fromkeys((*known, *wanted)):
            yield from _differences(
                known.get(key), wanted.get(key), f'{where}.{key}'
            )
    elif (
        isinstance(known, list)
        and isinstance(wanted, list)
        and len(known) == len(wanted)
    ):
        for place, pair in enumerate(zip(known, wanted, strict=True)):
            yield from _differences(*pair, f'{where}.{place}')
    elif known != wanted:
        yield f'{where} is {_short(known)} in the cache, {_short(wanted)} here'


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
