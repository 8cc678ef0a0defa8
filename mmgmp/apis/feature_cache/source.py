"""What a config says about the cache that it could train from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from mmgmp.registry import DATASETS
from mmgmp.utils.feature_cache import describe_pipeline, split_pipeline
from mmgmp.utils.protocol import (
    check_frozen,
    find_datasets,
    resolve_protocol,
    unwrap_views,
)

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: Options of the protocol that a cache is for all values of.
_ANY = (
    'missing', 'corruption', 'measure', 'unknown_classes', 'cache', 'views',
)  # fmt: skip


@dataclass(frozen=True)
class SourcePart:
    """What one pipeline reads.

    Args:
        transforms: The pipeline, of one view.
        pipeline: Its description.
        infos: One sample per clip.
    """

    transforms: list[Any]
    pipeline: dict[str, Any]
    infos: list[dict[str, Any]]


@dataclass(frozen=True)
class CacheSource:
    """A config, with all domains of its corpus.

    Args:
        config: The config, its protocol written out.
        modalities: Those of the model.
        parts: By name.
        view_seed: Which views to make.
        on_error: Policy for unreadable clips.
        max_errors: How many of them to bear.
        batch_size: Of the training.
        num_workers: Of the training.
    """

    config: Config
    modalities: list[str]
    parts: dict[str, SourcePart]
    view_seed: int
    on_error: str
    max_errors: float
    batch_size: int
    num_workers: int


def read_source(config: Config) -> CacheSource:
    """Find the clips of all domains and the pipelines that read them.

    Folds, damage, measures and unknown classes of the protocol do not matter:
    the cache is for all of them.

    Args:
        config: A training config with a protocol; it is not changed.

    Returns:
        What there is to compute.

    Raises:
        ValueError: If there is no protocol, the encoders are not frozen, the
            pipelines have steps that a cache cannot stand for, the frozen
            weights start at random, or one id names two clips.
    """
    if config.get('protocol') is None:
        raise ValueError(
            'a feature cache needs a config with a protocol, got none; '
            'inherit a file of configs/_base_/corpora'
        )
    seed = config['protocol'].get('view_seed') or 0
    domains = list(config['protocol']['domains'])
    options = {f'protocol.{key}': None for key in _ANY}
    config = Config(config.to_dict(), filename=config.filename)
    config.merge_from_dict(options)
    config = resolve_protocol(config)
    written = config['protocol']['written']
    modalities, loads = list(written['modalities']), list(written['loads'])
    check_frozen(config['model'], modalities)
    _check_weights(config, modalities)
    train = config['train_dataloader']
    first = next(find_datasets(train['dataset']))
    return CacheSource(
        config,
        modalities,
        _parts(config, domains, loads),
        seed,
        first.get('on_error', 'raise'),
        first.get('max_errors', 0.05),
        train['batch_size'],
        train.get('num_workers', 0),
    )


def _check_weights(config: Config, modalities: list[str]) -> None:
    random = [
        name
        for name in modalities
        if not _has_weights(config['model']['encoders'][name])
    ]
    if random and not config.get('load_from'):
        raise ValueError(
            f'frozen stages of {random} start at random, differently with '
            'every seed, so no training could use what a cache holds of '
            'them; set model.encoders.<modality>.pretrained, or load_from'
        )


def _has_weights(encoder: Any) -> bool:
    if isinstance(encoder, Mapping):
        return (
            encoder.get('pretrained') is not None
            or encoder.get('type') == 'Pretrained'
            or any(map(_has_weights, encoder.values()))
        )
    return False


def _parts(
    config: Config, domains: list[str], loads: list[str]
) -> dict[str, SourcePart]:
    parts: dict[str, SourcePart] = {}
    clips: dict[str, dict[str, Any]] = {}
    for loader in _LOADERS:
        name = loader.removesuffix('_dataloader')
        for leaf in _leaves(config, loader):
            for info in _infos(leaf, domains):
                known = clips.setdefault(info['sample_id'], info)
                if known['sources'] != info['sources']:
                    raise ValueError(
                        f'clip {info["sample_id"]!r} must be the same in all '
                        f'data loaders, got {known["sources"]} and '
                        f'{info["sources"]}; give one of them another id'
                    )
            if name == 'train':
                own = list(clips.values())
                parts[name] = _part(leaf, loader, loads, own)
    # Training clips too: a target may have them, and DRB looks at them.
    for loader in _LOADERS[1:]:
        for leaf in _leaves(config, loader):
            part = _part(leaf, loader, loads, list(clips.values()))
            known_tests = [p for n, p in parts.items() if n != 'train']
            if part.pipeline not in [p.pipeline for p in known_tests]:
                parts[loader.removesuffix('_dataloader')] = part
    return parts


def _leaves(config: Config, loader: str) -> Iterator[Any]:
    if config.get(loader) is not None:
        yield from find_datasets(config[loader]['dataset'])


def _part(
    leaf: Mapping[str, Any],
    loader: str,
    loads: list[str],
    infos: list[dict[str, Any]],
) -> SourcePart:
    transforms, _ = unwrap_views(leaf['pipeline'])
    step, _ = split_pipeline(transforms, f'{loader}.dataset.pipeline')
    return SourcePart(transforms, describe_pipeline(step, loads), infos)


def _infos(
    leaf: Mapping[str, Any], domains: list[str]
) -> list[dict[str, Any]]:
    """Samples of all domains, whatever part of them the config takes."""
    dataset = DATASETS.build(
        {
            **leaf,
            'domains': domains,
            'indices': None,
            'pipeline': [],
            'serialize_data': False,
        }
    )
    return [dataset.get_data_info(i) for i in range(len(dataset))]
