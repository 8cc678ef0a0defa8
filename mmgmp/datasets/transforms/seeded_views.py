"""A few fixed views of every sample, from its files or from a cache."""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.multi_modal_pipeline import build_pipeline
from mmgmp.datasets.transforms.multi_view import join_views
from mmgmp.registry import TRANSFORMS
from mmgmp.structures import FrozenState
from mmgmp.utils.feature_cache import (
    CacheMismatchError,
    CacheReader,
    Manifest,
    check_pipelines,
    describe_pipeline,
    read_manifest,
    split_pipeline,
)
from mmgmp.utils.seeding import own_seed

_TRAIN = 'train'


class _DrawnViews(BaseTransform):
    """Draw views of a sample, and make each by its number.

    The numbers come from NumPy's generator, in the same way wherever the
    views come from; making them draws nothing from it.
    """

    views: int
    num_drawn: int

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Draw views and return them packed."""
        numbers = [0]
        if self.views > 1:
            drawn = np.random.permutation(self.views)
            numbers = drawn[: self.num_drawn].tolist()
        views = []
        for number in numbers:
            view = self.view(results, number)
            if view is None:
                return None
            views.append(view)
        return views[0] if len(views) == 1 else join_views(views)

    @abstractmethod
    def view(
        self, results: Mapping[str, Any], number: int
    ) -> dict[str, Any] | None:
        """Return one packed view.

        Args:
            results: The sample, left as it is.
            number: Of the view.
        """

    def _check_counts(self, views: int, num_drawn: int) -> None:
        if not 1 <= num_drawn <= views:
            raise ValueError(
                f'protocol.views must be >= {num_drawn}, the views that a '
                f'sample shows at a time, got {views}; raise protocol.views, '
                'or --views of tools/cache_features.py'
            )
        self.views = views
        self.num_drawn = num_drawn


@TRANSFORMS.register_module()
class SeededViews(_DrawnViews):
    """Run a random pipeline in one of V ways that are fixed for a sample.

    What the pipeline draws follows from seed, ``sample_id``, number of the
    view and modality: a feature cache of the same views holds the very same.

    Required keys: those of ``transforms``, and ``sample_id``.

    Args:
        transforms: The training pipeline.
        views: Views V per sample, >= ``num_drawn``.
        num_drawn: Views that are drawn each time, all different.
        seed: Which views these are, >= 0.

    Raises:
        ValueError: If there are fewer views than are drawn.

    Example:
        >>> draw = lambda results: {**results, 'value': np.random.rand()}
        >>> views = SeededViews([draw], views=2)
        >>> values = {views({'sample_id': 'a'})['value'] for _ in range(20)}
        >>> len(values)
        2
    """

    def __init__(
        self,
        transforms: Sequence[Any],
        views: int,
        num_drawn: int = 1,
        seed: int = 0,
    ) -> None:
        self._check_counts(views, num_drawn)
        self.pipeline = build_pipeline('transforms', transforms)
        self.seed = seed

    def view(
        self, results: Mapping[str, Any], number: int
    ) -> dict[str, Any] | None:
        """Run the pipeline as view ``number``; see the base class."""
        key = view_key(self.seed, results['sample_id'], number)
        with own_seed(*key):
            made: dict[str, Any] | None = self.pipeline(
                {**copy.deepcopy(dict(results)), 'view_key': key}
            )
        return made

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(views={self.views}, '
            f'num_drawn={self.num_drawn}, seed={self.seed}, {self.pipeline})'
        )


def view_key(seed: int, sample_id: str, number: int) -> tuple[int, ...]:
    """Return the seed of a view.

    Args:
        seed: Which set of views.
        sample_id: The sample.
        number: Of the view.

    Example:
        >>> len(view_key(0, 'human/a', 1))
        3
    """
    digest = hashlib.sha256(sample_id.encode()).digest()
    return seed, int.from_bytes(digest[:8], 'big'), number


@TRANSFORMS.register_module()
class CachedViews(_DrawnViews):
    """Take views of a sample from a feature cache instead of its files.

    ``protocol.cache`` puts it into a config; the pipeline that it stands for
    stays inside.

    Required keys: those of a dataset; no file is opened.

    Args:
        cache: Folder that ``tools/cache_features.py`` filled.
        transforms: The pipeline, ``[MultiModalPipeline,
            PackMultiModalInputs]``.
        modalities: Those that the model looks at.
        loads: Those that the pipeline would read.
        part: ``'train'``, or ``'test'`` for the view of a test pipeline.
        views: Draw among so many; None takes all.
        num_drawn: Views that are drawn each time, all different.
        seed: Which views these are; must be that of the cache.

    Raises:
        FileNotFoundError: If there is no cache, or it is not filled.
        CacheMismatchError: A ``ValueError``; if it is a cache of something
            else.
        ValueError: If there are fewer views than are drawn.
    """

    def __init__(
        self,
        cache: str,
        transforms: Sequence[Mapping[str, Any]],
        modalities: Sequence[str],
        loads: Sequence[str],
        part: str = _TRAIN,
        views: int | None = None,
        num_drawn: int = 1,
        seed: int = 0,
    ) -> None:
        self.cache = cache
        self.modalities = tuple(modalities)
        manifest = read_manifest(cache)
        first, last = split_pipeline(transforms, 'dataset.pipeline')
        wanted = describe_pipeline(first, loads)
        name = self._find_part(manifest, wanted, part)
        self.reader = CacheReader(cache, name, manifest.parts[name])
        self._check_views(manifest, part, views, seed)
        available = self.reader.part.views
        self._check_counts(views or available, num_drawn)
        self.pack = TRANSFORMS.build(dict(last))

    def view(self, results: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Read view ``number``; see the base class."""
        clip = results['sample_id']
        maps = {
            m: self.reader.read(clip, number, m)
            for m in self.modalities
            if m in results['modalities']
        }
        key = self.pack.array_keys[0]
        states = {
            m: {key: FrozenState(found, len(found[0]))}
            for m, found in maps.items()
            if found is not None
        }
        missing = tuple(m for m in self.modalities if m not in states)
        sample = {**results, **states, 'modalities': tuple(states)}
        sample.pop('missing_modalities', None)
        if missing:
            sample['missing_modalities'] = missing
        packed: dict[str, Any] = self.pack(sample)
        return packed

    def _find_part(
        self, manifest: Manifest, wanted: Mapping[str, Any], part: str
    ) -> str:
        """Name the part that the pipeline fits."""
        is_train = part == _TRAIN
        found: list[str] = []
        for name, known in manifest.parts.items():
            if (name == _TRAIN) is is_train:
                wrong = check_pipelines(
                    known.pipeline, wanted, self.modalities
                )
                if not wrong:
                    return name
                found = found or wrong
        raise CacheMismatchError(
            f'protocol.cache={self.cache} must hold what the {part} pipeline '
            f'reads, but {"; ".join(found[:4])}; fill another cache with '
            'tools/cache_features.py, or restore the config'
        )

    def _check_views(
        self, manifest: Manifest, part: str, views: int | None, seed: int
    ) -> None:
        if part != _TRAIN:
            return
        available = manifest.parts[_TRAIN].views
        if (views or 1) > available or seed != manifest.view_seed:
            raise CacheMismatchError(
                f'protocol.views and protocol.view_seed must fit the cache '
                f'{self.cache}, which has {available} views of '
                f'view_seed={manifest.view_seed}, got {views} and {seed}; '
                'lower them, or fill another cache'
            )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(cache={self.cache!r}, '
            f'modalities={self.modalities}, views={self.views}, '
            f'num_drawn={self.num_drawn})'
        )
