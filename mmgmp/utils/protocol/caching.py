"""Pipelines that draw among fixed views, from files or from a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmgmp.utils.protocol.reading import Protocol

_SEEDED, _CACHED, _MULTI = 'SeededViews', 'CachedViews', 'MultiViewPipeline'
#: Config key of the feature cache; None reads files.
CACHE_KEY = 'protocol.cache'
#: Methods that look at the inputs themselves.
_READERS = ('FrequencyRatioMethod',)


def read_files(pipeline: Sequence[Any]) -> list[Any]:
    """Undo what ``protocol.cache`` and ``protocol.views`` made of a pipeline.

    Args:
        pipeline: Configs of transforms; they are not changed.

    Returns:
        The pipeline that reads the files of a sample anew each time.

    Example:
        >>> step = dict(type='PackMultiModalInputs')
        >>> views = dict(type='SeededViews', transforms=[step], views=4)
        >>> read_files([views]) == [step]
        True
    """
    if len(pipeline) != 1 or not isinstance(pipeline[0], Mapping):
        return list(pipeline)
    [step] = pipeline
    if step.get('type') not in (_SEEDED, _CACHED):
        return list(pipeline)
    transforms = list(step['transforms'])
    if step.get('num_drawn', 1) == 1:
        return transforms
    return [
        {
            'type': _MULTI,
            'num_views': step['num_drawn'],
            'transforms': transforms,
        }
    ]


def choose_views(part: Any, loader: str, protocol: Protocol) -> None:
    """Make a dataset draw among fixed views, if the protocol says so.

    Args:
        part: Config of the dataset, changed in place.
        loader: Its data loader.
        protocol: The protocol.
    """
    is_train = loader == 'train_dataloader'
    is_other = loader == 'test_dataloader' and (
        protocol.corruption or protocol.measure == 'out_of_distribution'
    )
    if is_other or not (protocol.cache or (is_train and protocol.views)):
        return
    transforms, num_drawn = unwrap_views(part['pipeline'])
    views = {
        'type': _SEEDED,
        'transforms': transforms,
        'views': protocol.views if is_train else None,
        'num_drawn': num_drawn,
        'seed': protocol.view_seed,
    }
    if protocol.cache:
        views |= {
            'type': _CACHED,
            'cache': protocol.cache,
            'modalities': list(protocol.modalities),
            'loads': list(protocol.loads),
            'part': 'train' if is_train else 'test',
        }
    part['pipeline'] = [views]


def unwrap_views(pipeline: Sequence[Any]) -> tuple[list[Any], int]:
    """Return the pipeline of one view, and how many a sample shows.

    Args:
        pipeline: Configs of transforms.

    Example:
        >>> unwrap_views([dict(type='MultiViewPipeline', transforms=[])])
        ([], 2)
    """
    if len(pipeline) == 1 and pipeline[0].get('type') == _MULTI:
        [step] = pipeline
        return list(step['transforms']), step.get('num_views', 2)
    return list(pipeline), 1


def check_frozen(model: Mapping[str, Any], modalities: Sequence[str]) -> None:
    """Refuse a model whose lower part is not the same in every epoch.

    Or one that looks at more than what comes out of it.

    Args:
        model: Config of the model.
        modalities: Those that a cache is for.

    Raises:
        ValueError: If an encoder has no frozen stages or norms, the samples
            of a batch are mixed before the encoders, or a method reads the
            inputs.
    """
    for name in modalities:
        encoder = model['encoders'][name]
        stages = encoder.get('frozen_stages', -1)
        if stages < 0:
            raise ValueError(
                f'protocol.cache needs model.encoders.{name}.frozen_stages '
                f'>= 0, got {stages}: everything in it trains, so there is '
                'nothing to compute once; leave protocol.cache out'
            )
        if not encoder.get('frozen_norm_eval', True):
            raise ValueError(
                f'protocol.cache needs model.encoders.{name}.frozen_norm_eval'
                '=True, got False: batch statistics make the frozen part '
                'another function in every batch; leave protocol.cache out'
            )
    preprocessors = (model.get('data_preprocessor') or {}).get(
        'preprocessors'
    ) or {}
    mixing = [
        name
        for name in modalities
        if (preprocessors.get(name) or {}).get('blending')
    ]
    if mixing:
        raise ValueError(
            'protocol.cache cannot mix samples before the encoders, got '
            f'blending in model.data_preprocessor.preprocessors of {mixing}; '
            'remove it, or leave protocol.cache out'
        )
    types = [method.get('type') for method in model.get('methods') or ()]
    readers = [name for name in types if name in _READERS]
    if readers:
        raise ValueError(
            'protocol.cache holds what frozen stages made of the inputs, but '
            f'{readers} of model.methods must see the inputs; leave '
            'protocol.cache out (in a plan with --cache: overrides '
            '{protocol.cache: null} of the row)'
        )
