"""Facts about a data loader, from its config and the annotation files."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmgmp.registry import DATA_SAMPLERS, DATASETS
from mmgmp.utils.settings import DataFacts, LoaderFacts

# What datasets raise for files and values that are not as they should be.
_FAILURES = (KeyError, OSError, TypeError, ValueError)
_BALANCED = 'DomainBalancedSampler'


def read_loader(
    name: str, config: Mapping[str, Any] | None, num_ranks: int = 1
) -> LoaderFacts | None:
    """Read the annotation of a data loader; no media file is opened.

    Args:
        name: Its config key.
        config: Its config.
        num_ranks: Processes that share the samples.

    Returns:
        The facts; None if there is no config to read.

    Example:
        >>> read_loader('val_dataloader', None) is None
        True
    """
    if not isinstance(config, Mapping) or not isinstance(
        config.get('dataset'), Mapping
    ):
        return None
    leaves = list(_leaf_configs(config['dataset']))
    sampler = config.get('sampler')
    facts = LoaderFacts(
        name,
        domains=_domains(leaves),
        ann_files=tuple(p for leaf in leaves for p in _ann_files(leaf)),
        batch_size=None
        if config.get('batch_sampler')
        else config.get('batch_size'),
        drop_last=bool(config.get('drop_last', False)),
        shuffle=not isinstance(sampler, Mapping)
        or bool(sampler.get('shuffle', True)),
        num_ranks=num_ranks,
        lists=_pipeline_lists(leaves),
        block_size=_block_size(sampler),
    )
    return _read_samples(facts, config['dataset'], sampler)


def _block_size(sampler: Any) -> int | None:
    """Of a sampler that balances the domains; None of any other."""
    if not isinstance(sampler, Mapping) or sampler.get('type') != _BALANCED:
        return None
    size: int | None = sampler.get('batch_size')
    return size


def _read_samples(
    facts: LoaderFacts, config: Mapping[str, Any], sampler: Any
) -> LoaderFacts:
    """Add what the dataset says, or why it says nothing."""
    try:
        dataset = DATASETS.build(_without_pipeline(config))
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        num_samples = len(dataset)
        if facts.block_size:
            options = {**sampler, 'dataset': dataset, 'seed': 0}
            num_samples = len(DATA_SAMPLERS.build(options)) * facts.num_ranks
    except _FAILURES as error:
        return replace(
            facts,
            failure=str(error) or type(error).__name__,
            is_missing=isinstance(error, FileNotFoundError),
        )
    data = [_read_dataset(leaf) for leaf in _leaves(dataset)]
    return replace(
        facts,
        data=() if None in data else tuple(d for d in data if d is not None),
        num_samples=num_samples,
    )


def _leaf_configs(dataset: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Configs of the datasets inside MMEngine's wrappers."""
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    found = [item for item in inner if isinstance(item, Mapping)]
    if not found:
        yield dataset
    for item in found:
        yield from _leaf_configs(item)


def _leaves(dataset: Any) -> Iterator[Any]:
    inner = getattr(dataset, 'datasets', None)
    if inner is None:
        wrapped = getattr(dataset, 'dataset', None)
        inner = [] if wrapped is None else [wrapped]
    if not inner:
        yield dataset
    for item in inner:
        yield from _leaves(item)


def _without_pipeline(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that reads annotation only, and quickly."""
    config: dict[str, Any] = {}
    for key, value in dataset.items():
        if key == 'pipeline':
            config[key] = []
        elif key == 'dataset' and isinstance(value, Mapping):
            config[key] = _without_pipeline(value)
        elif key == 'datasets' and isinstance(value, Sequence):
            config[key] = [
                _without_pipeline(item) if isinstance(item, Mapping) else item
                for item in value
            ]
        else:
            config[key] = copy.deepcopy(value)
    if config.get('type') == 'AudioVisualDataset':
        # For workers, which there are none of here; packing takes longest.
        config['serialize_data'] = False
    return config


def _read_dataset(dataset: Any) -> DataFacts | None:
    """None for a dataset whose samples have no class or domain."""
    metainfo = getattr(dataset, 'metainfo', None) or {}
    if not {'classes', 'domains'} <= set(metainfo):
        return None
    samples = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if not {'domain', 'label', 'sample_id'} <= set(info):
            return None
        samples.append((info['domain'], info['label'], info['sample_id']))
    return DataFacts(
        tuple(metainfo['domains']),
        tuple(metainfo['classes']),
        tuple(getattr(dataset, 'modalities', ())),
        tuple(samples),
        tuple(getattr(dataset, 'known_domains', metainfo['domains'])),
        str(metainfo.get('corpus', '')),
    )


def _domains(leaves: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | None:
    lists = [leaf.get('domains') for leaf in leaves]
    if any(not isinstance(item, Sequence) for item in lists):
        return None
    return tuple(name for item in lists for name in item or ())


def _ann_files(leaf: Mapping[str, Any]) -> list[str]:
    files = leaf.get('ann_file', ())
    return [files] if isinstance(files, str) else [str(f) for f in files or ()]


def _pipeline_lists(
    leaves: Sequence[Mapping[str, Any]],
) -> tuple[str, ...] | None:
    """Modalities that a ``MultiModalPipeline`` of every dataset has."""
    found = []
    for leaf in leaves:
        steps = list(_steps(leaf.get('pipeline') or ()))
        lists = [s for s in steps if s.get('type') == 'MultiModalPipeline']
        if len(lists) != 1:
            return None
        found.append(
            [k for k in lists[0] if k not in ('type', 'order', '_scope_')]
        )
    common = set(found[0]).intersection(*found[1:])
    return tuple(name for name in found[0] if name in common)


def _steps(pipeline: Any) -> Iterator[Mapping[str, Any]]:
    """All transforms, those inside others too."""
    for step in pipeline:
        if isinstance(step, Mapping):
            yield step
            yield from _steps(step.get('transforms') or ())
