"""Before a run from a feature cache: is it a cache of this?"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmgmp.registry import HOOKS
from mmgmp.utils.compat.private_names import has_built
from mmgmp.utils.feature_cache import (
    CacheMismatchError,
    Manifest,
    as_plain,
    describe_encoder,
    differences,
    is_same_file,
    read_manifest,
)
from mmgmp.version import __version__


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Compare a cache with the model and the corpus that use it.

    When weights have been initialised and loaded, frozen weights, stages,
    layout, normalisation, package version, clips and media are compared with
    what the cache was filled from; the pipelines have been by then. After
    training the frozen weights are looked at again.

    Raises:
        CacheMismatchError: A ``ValueError``; if something differs. All
            differences are named, up to four.

    Example:
        >>> HOOKS.build(dict(type='FeatureCacheHook')).priority
        'NORMAL'
    """

    def before_train(self, runner: Runner) -> None:
        """Check the data that is trained and validated on.

        Args:
            runner: Runner of the training.
        """
        datasets = [*_cached(runner.train_dataloader)]
        if runner.val_loop is not None:
            datasets += _cached(runner.val_loop.dataloader)
        self._check(runner, datasets)

    def after_train(self, runner: Runner) -> None:
        """Find out whether something moved what was taken for frozen.

        Args:
            runner: Runner of the training.
        """
        self._check(runner, [*_cached(runner.train_dataloader)], media=False)

    def before_val(self, runner: Runner) -> None:
        """Check the data of a validation outside training.

        Args:
            runner: Runner of the validation.
        """
        if not has_built(runner, 'train'):
            self._check(runner, [*_cached(runner.val_loop.dataloader)])

    def before_test(self, runner: Runner) -> None:
        """Check the data that is tested on.

        Args:
            runner: Runner of the test.
        """
        self._check(runner, [*_cached(runner.test_loop.dataloader)])

    def _check(
        self,
        runner: Runner,
        datasets: list[tuple[Any, Any]],
        media: bool = True,
    ) -> None:
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        manifests: dict[str, Manifest] = {}
        for dataset, views in datasets:
            if views.cache not in manifests:
                manifest = read_manifest(views.cache)
                manifests[views.cache] = manifest
                found = compare_model(manifest, model, runner.cfg['model'])
                _refuse(found, views.cache)
            if media and is_main_process():
                _check_clips(dataset, views, manifests[views.cache])


def compare_model(
    manifest: Manifest, model: Any, config: Mapping[str, Any]
) -> list[str]:
    """Name what the frozen part of a model does not share with a cache.

    Args:
        manifest: Of the cache.
        model: The model.
        config: Its config.

    Returns:
        One text per difference.
    """
    found = differences(manifest.package, __version__, 'mmgmp')
    preprocessors = (config.get('data_preprocessor') or {}).get(
        'preprocessors'
    ) or {}
    for name, encoder in model.encoders.items():
        if name not in manifest.encoders:
            found.append(f'encoders.{name} is not in the cache')
            continue
        wanted = describe_encoder(
            config['encoders'][name], encoder.frozen_state_dict()
        )
        where = f'encoders.{name}'
        known = manifest.encoders[name]
        found += differences(known, wanted, where)
        found += differences(
            manifest.preprocessors.get(name),
            as_plain(preprocessors.get(name) or {}),
            f'data_preprocessor.{name}',
        )
    return found


def _refuse(found: list[str], cache: str) -> None:
    if not found:
        return
    hint = ''
    if any('.weights is' in text for text in found):
        hint = (
            ' Frozen weights have to be the very same: set pretrained of the '
            'encoder, or load_from, to what the cache was filled with '
            '(weights that start at random differ with the seed).'
        )
    raise CacheMismatchError(
        f'protocol.cache={cache} must be a cache of this model and corpus, '
        f'but {"; ".join(found[:4])}'
        f'{f" and {len(found) - 4} more" if len(found) > 4 else ""}.{hint} '
        'Restore the config, fill another cache with '
        'tools/cache_features.py, or leave protocol.cache out'
    )


def _check_clips(dataset: Any, views: Any, manifest: Manifest) -> None:
    """Compare the clips of a dataset and their files with the cache's."""
    clips = set(views.reader.part.clips)
    found, absent = [], 0
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        clip = info['sample_id']
        if clip not in clips:
            found.append(f'clip {clip!r} is not in it')
            continue
        for name, entry in info['sources'].items():
            known = manifest.media[clip].get(name)
            if known is None:
                continue
            own = {k: v for k, v in entry.items() if not k.startswith('path')}
            found += differences(
                known['entry'], as_plain(own), f'{clip} {name}'
            )
            for key, path in entry.items():
                if not key.startswith('path'):
                    continue
                verdict = is_same_file(str(path), known['files'].get(key))
                absent += verdict is None
                if verdict is False:
                    found.append(f'{path} is another file than when filled')
    _refuse(found, views.cache)
    if absent:
        print_log(
            f'{absent} media files are not there, so that nobody can tell '
            f'whether the cache {views.cache} was made of them',
            logger='current',
            level=logging.WARNING,
        )


def _cached(loader: Any) -> Iterator[tuple[Any, Any]]:
    """Datasets that read a cache, with their transform."""
    yield from _cached_datasets(loader.dataset)


def _cached_datasets(dataset: Any) -> Iterator[tuple[Any, Any]]:
    inner = getattr(dataset, 'datasets', None)
    if inner is None and 'dataset' in vars(dataset):
        inner = [dataset.dataset]
    for item in inner or ():
        yield from _cached_datasets(item)
    if not inner:
        transforms = getattr(
            getattr(dataset, 'pipeline', None), 'transforms', ()
        )
        for transform in transforms:
            if hasattr(transform, 'cache') and hasattr(transform, 'reader'):
                yield dataset, transform
