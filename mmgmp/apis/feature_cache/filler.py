"""One filling of a feature cache: measure, compare, compute, store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from mmgmp.apis.feature_cache.collected import Collected
from mmgmp.apis.feature_cache.report import DTYPES, FillReport
from mmgmp.apis.feature_cache.rows import (
    Row,
    ViewRows,
    clips_per_shard,
    read_batches,
    run_frozen,
)
from mmgmp.apis.feature_cache.source import CacheSource
from mmgmp.datasets.skip_policy import SkipPolicy
from mmgmp.utils.feature_cache import (
    MANIFEST,
    CacheMismatchError,
    Manifest,
    Part,
    as_plain,
    describe_encoder,
    differences,
    identify_media,
    read_manifest,
    shard_path,
    write_manifest,
    write_shard,
)
from mmgmp.version import __version__


class Filler:
    """Fill the part of a cache that is missing.

    Args:
        source: What there is to compute.
        model: The recognizer, with its weights.
        folder: The cache.
        views: Views of each clip through the training pipeline.
        dtype: Key of ``DTYPES``.
        num_workers: Processes that read.
    """

    def __init__(
        self,
        source: CacheSource,
        model: Any,
        folder: Path,
        views: int,
        dtype: str,
        num_workers: int,
    ) -> None:
        self.num_workers = num_workers
        self.source = source
        self.model = model
        self.folder = folder
        self.dtype = dtype
        self.rows = {
            name: ViewRows(
                part,
                views if name == 'train' else 1,
                source.view_seed,
                source.on_error,
            )
            for name, part in source.parts.items()
        }
        clips = {i['sample_id'] for r in self.rows.values() for i in r.infos}
        self.numbers = {clip: n for n, clip in enumerate(sorted(clips))}
        self.policy = SkipPolicy(source.max_errors, len(clips))

    def run(
        self,
        announce: Callable[[FillReport], None] | None,
        show_progress: bool,
    ) -> FillReport:
        """Measure, compare with what is there, and fill.

        Args:
            announce: Is told what the cache takes before it is filled.
            show_progress: Whether to show a progress bar.

        Returns:
            What was announced, and the clips that could not be read.
        """
        sizes = {name: self._measure(name) for name in self.rows}
        manifest = self._manifest(sizes)
        todo = {name: self._missing(name, manifest) for name in self.rows}
        report = self._report(sizes, todo)
        if announce is not None:
            announce(report)
        free = shutil.disk_usage(self.folder).free
        if free < report.num_bytes_left:
            raise OSError(
                f'{self.folder} needs {report.num_bytes_left / 1e9:.1f} GB '
                f'more, its disk has {free / 1e9:.1f} GB; free some, lower '
                '--views, or take --dtype float16'
            )
        write_manifest(self.folder, manifest)
        total = sum(
            len(places) * self.rows[name].views
            for name, shards in todo.items()
            for places in shards.values()
        )
        with Progress(disable=not show_progress) as progress:
            bar = progress.add_task('views', total=total)
            for name, shards in todo.items():
                self._fill(name, shards, partial(progress.advance, bar))
        return replace(report, unreadable=self.policy.sample_ids)

    # -- before -----------------------------------------------------------

    def _measure(self, name: str) -> dict[str, int]:
        """Bytes of one view by modality, from the first clips."""
        rows = self.rows[name]
        found: dict[str, int] = {}
        for place in range(len(rows.infos)):
            _, inputs = rows[place, 0]
            if not isinstance(inputs, str):
                found |= {
                    m: self._bytes(m, inputs[m])
                    for m in self.source.modalities
                    if inputs[m].numel()
                }
            if len(found) == len(self.source.modalities):
                break
        return found

    def _bytes(self, modality: str, value: torch.Tensor) -> int:
        [maps] = run_frozen(
            self.model, modality, [value], 1, DTYPES[self.dtype]
        )
        return sum(m.nbytes for m in maps)

    def _manifest(self, sizes: Mapping[str, Mapping[str, int]]) -> Manifest:
        """Describe the cache; one that is there has to be of the same."""
        known: Manifest | None = None
        if Path(self.folder, MANIFEST).is_file():
            known = read_manifest(self.folder)
        config = self.source.config['model']
        preprocessors = (config.get('data_preprocessor') or {}).get(
            'preprocessors'
        ) or {}
        manifest = Manifest(
            package=__version__,
            dtype=self.dtype,
            view_seed=self.source.view_seed,
            encoders={
                m: describe_encoder(
                    config['encoders'][m],
                    self.model.encoders[m].frozen_state_dict(),
                )
                for m in self.source.modalities
            },
            preprocessors={
                m: as_plain(preprocessors.get(m) or {})
                for m in self.source.modalities
            },
            parts={n: self._part(n, sizes[n], known) for n in self.rows},
            media=self._media(known),
            made_with={
                'torch': torch.__version__,
                'device': str(next(self.model.parameters()).device),
                'threads': torch.get_num_threads(),
                'batch_size': self.source.batch_size,
            },
        )
        if known is not None:
            self._compare(known, manifest)
        return manifest

    def _media(self, known: Manifest | None) -> dict[str, Any]:
        """Identify the files of every clip."""
        media: dict[str, Any] = {}
        for rows in self.rows.values():
            for info in rows.infos:
                clip = info['sample_id']
                if clip not in media:
                    media[clip] = identify_media(
                        info['sources'],
                        None if known is None else known.media.get(clip),
                    )
        return media

    def _compare(self, known: Manifest, wanted: Manifest) -> None:
        """Refuse to go on with a cache of something else."""
        found = differences(known.fingerprint(), wanted.fingerprint(), 'cache')
        if found:
            raise CacheMismatchError(
                f'{self.folder} must be empty or hold a cache of this config, '
                f'but {"; ".join(found[:4])}; take another folder, or remove '
                'this one'
            )

    def _part(
        self, name: str, sizes: Mapping[str, int], known: Manifest | None
    ) -> Part:
        rows = self.rows[name]
        if known is not None and name in known.parts:
            count = known.parts[name].clips_per_shard
        else:
            size = sum(sizes.values()) * rows.views
            count = clips_per_shard(size, rows.views, self.source.batch_size)
        return Part(
            rows.views,
            self.source.parts[name].pipeline,
            [info['sample_id'] for info in rows.infos],
            count,
        )

    def _missing(self, name: str, manifest: Manifest) -> dict[int, range]:
        """Places of the clips of each shard that is not there."""
        part = manifest.parts[name]
        count = part.clips_per_shard
        return {
            number: range(
                number * count, min((number + 1) * count, len(part.clips))
            )
            for number in range(part.num_shards)
            if not shard_path(self.folder, name, number).is_file()
        }

    def _report(
        self,
        sizes: Mapping[str, Mapping[str, int]],
        todo: Mapping[str, Mapping[int, range]],
    ) -> FillReport:
        def num_bytes(name: str, clips: int) -> int:
            return clips * self.rows[name].views * sum(sizes[name].values())

        return FillReport(
            {name: len(rows.infos) for name, rows in self.rows.items()},
            {name: rows.views for name, rows in self.rows.items()},
            sizes,
            sum(num_bytes(n, len(r.infos)) for n, r in self.rows.items()),
            sum(
                num_bytes(name, sum(map(len, shards.values())))
                for name, shards in todo.items()
            ),
        )

    # -- the filling ------------------------------------------------------

    def _fill(
        self,
        name: str,
        shards: Mapping[int, range],
        advance: Callable[[int], None],
    ) -> None:
        rows, numbers = self.rows[name], list(shards)
        left = [len(places) * rows.views for places in shards.values()]
        collected = Collected()
        for index, batch in read_batches(
            rows,
            list(shards.values()),
            self.source.batch_size,
            self.num_workers,
        ):
            number = numbers[index]
            self._note(rows, batch, collected, shards[number].start)
            for modality in self.source.modalities:
                self._compute(modality, batch, collected, shards[number].start)
            advance(len(batch))
            left[index] -= len(batch)
            if not left[index]:
                path = shard_path(self.folder, name, number)
                write_shard(path, collected.shard(rows.views))
                collected = Collected()

    def _note(
        self,
        rows: ViewRows,
        batch: Sequence[tuple[Row, Any]],
        to: Collected,
        start: int,
    ) -> None:
        """Count the clips that could not be read."""
        for (place, _), inputs in batch:
            if isinstance(inputs, str):
                clip = rows.infos[place]['sample_id']
                self.policy.record(self.numbers[clip], clip, OSError(inputs))
                to.unreadable[place - start] = inputs

    def _compute(
        self,
        modality: str,
        batch: Sequence[tuple[Row, Any]],
        to: Collected,
        start: int,
    ) -> None:
        kept = [
            (row, inputs[modality])
            for row, inputs in batch
            if not isinstance(inputs, str) and inputs[modality].numel()
        ]
        if not kept:
            return
        computed = run_frozen(
            self.model,
            modality,
            [value for _, value in kept],
            self.source.batch_size,
            DTYPES[self.dtype],
        )
        found = to.maps.setdefault(modality, {})
        for ((place, view), _), maps in zip(kept, computed, strict=True):
            found[place - start, view] = maps
