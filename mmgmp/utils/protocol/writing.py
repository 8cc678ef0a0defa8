"""A protocol written out into the plain config that MMEngine builds from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from mmengine.config import Config, ConfigDict

from mmgmp.utils.protocol.caching import (
    check_frozen,
    choose_views,
    read_files,
)
from mmgmp.utils.protocol.oracle import hold_out, trained_domains
from mmgmp.utils.protocol.reading import (
    DAMAGE,
    Protocol,
    read_mapping,
    read_protocol,
)

_AnyConfig = TypeVar('_AnyConfig', Config, ConfigDict)

#: What a config that was written out cannot be changed in.
_LASTING = (
    'modalities', 'num_classes', 'oracle', 'in_domain', 'unknown_classes',
)  # fmt: skip
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_HEADS = ('cls_head', 'domain_head', 'unimodal_heads', 'methods')


def resolve_protocol(config: _AnyConfig) -> _AnyConfig:
    """Write ``protocol`` out into the data loaders, the model and the rest.

    Args:
        config: A config with or without a protocol; it is not changed.

    Returns:
        A plain config, which trains, tests and resumes by itself. One without
        a protocol is returned as it is.

    Raises:
        ValueError: If the protocol is none, or the config says something else
            than its protocol.

    Example:
        >>> protocol = dict(domains=['a', 'b', 'c'], target='b',
        ...                 num_classes=7, modalities=['audio'])
        >>> head = dict(type='MLPClassifierHead', num_classes=None)
        >>> plain = resolve_protocol(Config(dict(
        ...     protocol=protocol,
        ...     model=dict(encoders=dict(audio=dict()), cls_head=head),
        ...     train_dataloader=dict(dataset=dict(domains=[])))))
        >>> plain.train_dataloader.dataset.domains
        ['a', 'c']
        >>> plain.model.cls_head.num_classes
        7
    """
    if config.get('protocol') is None:
        return config
    config = copy.deepcopy(config)
    values, model = config['protocol'], config.get('model') or {}
    if not model.get('encoders'):
        raise ValueError(
            'model.encoders must name the encoders of all modalities in a '
            'config with a protocol, got none; inherit a file of '
            'configs/_base_/corpora, or set protocol=None'
        )
    order = model.get('modality_order') or list(model['encoders'])
    protocol = read_protocol(
        values, [m for m in order if model['encoders'].get(m) is not None]
    )
    written: dict[str, Any] = values.get('written') or {}
    _check_written(protocol, written)
    if protocol.measure == 'source' and not written.get('measure'):
        _test_on_sources(config)
    elif (protocol.oracle or protocol.in_domain) and not written:
        _hold_out(config, 'oracle' if protocol.oracle else 'in_domain')
    for loader in _LOADERS:
        if config.get(loader) is not None:
            for part in find_datasets(config[loader]['dataset']):
                part['pipeline'] = read_files(part.get('pipeline') or [])
            _write_data(config[loader]['dataset'], loader, protocol, written)
    _write_model(model, protocol, written)
    settings = (config.get('default_hooks') or {}).get('settings')
    if values.get('allow_seen_target') is not None and settings:
        settings['allow_seen_target'] = values['allow_seen_target']
    if config.get('test_dataloader') is not None:
        _damage(config['test_dataloader']['dataset'], protocol, written)
        _measure(config, protocol, written)
    for loader in _LOADERS:
        if config.get(loader) is not None:
            for part in find_datasets(config[loader]['dataset']):
                choose_views(part, loader, protocol)
    if protocol.cache:
        _use_cache(config, protocol)
    is_file = isinstance(config, Config) and config.filename
    stem = Path(config.filename).stem if is_file else ''
    if config.get('work_dir') == f'./work_dirs/{stem}':
        # The stock scripts' default knows the file, not what is unseen.
        config['work_dir'] += f'/{protocol.name}'
    values['written'] = asdict(protocol)
    return config


def _hold_out(config: Any, key: str) -> None:
    """Test on those clips of the tested domains that are not trained on."""
    test, train = (
        list(find_datasets(config[loader]['dataset']))
        if config.get(loader) is not None
        else []
        for loader in ('test_dataloader', 'train_dataloader')
    )
    hold_out(test, train, key)


def _test_on_sources(config: Any) -> None:
    """Test on the held-out clips of the sources, as validation does."""
    for part in ('dataloader', 'evaluator'):
        if config.get(f'val_{part}') is None:
            raise ValueError(
                "protocol.measure='source' needs source validation, got a "
                f'config without val_{part}; add it'
            )
    config['test_dataloader'] = copy.deepcopy(config['val_dataloader'])
    # What --dump of the stock script has added is no measure of its own.
    dumps = [
        evaluator
        for evaluator in _listed(config.get('test_evaluator'))
        if evaluator.get('type') == 'DumpResults'
    ]
    wanted = copy.deepcopy(config['val_evaluator'])
    if dumps:
        wanted = [*_listed(wanted), *dumps]
    config['test_evaluator'] = wanted


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value or {}]


def _use_cache(config: Any, protocol: Protocol) -> None:
    check_frozen(config['model'], protocol.modalities)
    hooks = {**(config.get('default_hooks') or {})}
    hooks['feature_cache'] = {'type': 'FeatureCacheHook'}
    config['default_hooks'] = hooks


def _check_written(protocol: Protocol, written: Mapping[str, Any]) -> None:
    """Refuse to turn one written config into another that it cannot be.

    Encoders, a discriminator and an undamaged pipeline that were left out are
    not there any more.
    """
    if not written:
        return
    now = asdict(protocol)
    # Older configs do not know all keys.
    written = {**now, 'oracle': False, 'in_domain': False, **written}
    final = [
        key
        for key in ('modalities', 'num_classes', 'missing', 'corruption',
                    'severity', 'measure', *_LASTING[2:])
        if written[key] != now[key]
        and (written[key] or key in _LASTING)
        and not (key == 'severity' and not written['corruption'])
    ]  # fmt: skip
    if len(written['sources']) != len(now['sources']):
        final.append('sources')
    if final:
        raise ValueError(
            'protocol must stay as it was written out in '
            f'{[f"{key}={written[key]}" for key in final]}, got '
            f'{[f"{key}={now[key]}" for key in final]}; start from the '
            'config file that this one was made from'
        )


def find_datasets(dataset: Any, is_ours: bool = False) -> Iterator[Any]:
    """Find the data sets of the corpus inside wrappers.

    Args:
        dataset: Config of a data set.
        is_ours: Whether a concatenation is one that a protocol made.

    Returns:
        Iterator over configs, which can be changed in place.
    """
    if 'dataset' in dataset:
        yield from find_datasets(dataset['dataset'], is_ours)
    elif 'datasets' in dataset:
        # Behind the first of a concatenation of ours comes a foreign one.
        for part in dataset['datasets'][: 1 if is_ours else None]:
            yield from find_datasets(part, is_ours)
    else:
        yield dataset


def _is_concatenated(protocol: Mapping[str, Any]) -> bool:
    return protocol.get('measure') == 'out_of_distribution'


def _write_data(
    dataset: Any, loader: str, protocol: Protocol, written: Mapping[str, Any]
) -> None:
    is_test = loader == 'test_dataloader'
    is_unseen = is_test and protocol.measure != 'source'
    side = 'target' if is_unseen else 'sources'
    domains, known = getattr(protocol, side), written.get(side)
    if loader == 'train_dataloader':
        domains, known = protocol.trained, trained_domains(written)
    wanted = {'domains': domains, 'modalities': protocol.loads}
    before = {'domains': known, 'modalities': written.get('loads')}
    for part in find_datasets(dataset, is_test and _is_concatenated(written)):
        for key, value in wanted.items():
            found = list(part.get(key) or ())
            if found and found not in (value, before[key]):
                raise ValueError(
                    f'{loader}.dataset.{key} must follow from the protocol, '
                    f'which gives {value}, got {found}; set protocol.'
                    f'{side if key == "domains" else key} instead'
                )
            part[key] = list(value)
        if protocol.unknown_classes:
            part['unknown_classes'] = list(protocol.unknown_classes)
            part['keep_unknown'] = is_test and protocol.measure == 'open_set'


def _write_model(
    model: Any, protocol: Protocol, written: Mapping[str, Any]
) -> None:
    model['encoders'] = {m: model['encoders'][m] for m in protocol.modalities}
    model['modality_order'] = list(protocol.modalities)
    preprocessor = model.get('data_preprocessor') or {}
    if 'preprocessors' in preprocessor:
        preprocessor['preprocessors'] = {
            m: options
            for m, options in preprocessor['preprocessors'].items()
            if m in protocol.loads
        }
    heads = model.get('unimodal_heads')
    if heads and 'type' not in heads:
        model['unimodal_heads'] = {
            m: head for m, head in heads.items() if m in protocol.modalities
        }
    if len(protocol.trained) == 1:
        model['domain_head'] = None  # there is nothing to tell apart
    counts = {
        'num_classes': protocol.known_classes,
        'num_domains': len(protocol.trained),
    }
    for key in _HEADS:
        _fill_in(model.get(key), counts, f'model.{key}')
    for method in model.get('methods') or ():
        # Those of another target, where it was written out before.
        if method.get('sources') == trained_domains(written):
            method['sources'] = None
    _fill_in(
        model.get('methods'),
        {'sources': protocol.trained},
        'model.methods',
    )
    if protocol.missing:
        model['missing_modalities'] = dict(protocol.missing)


def _fill_in(part: Any, counts: Mapping[str, Any], where: str) -> None:
    """Write what the protocol says where None stands for it."""
    if isinstance(part, list):
        for number, item in enumerate(part):
            _fill_in(item, counts, f'{where}.{number}')
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key not in counts:
            _fill_in(value, counts, f'{where}.{key}')
        elif value not in (None, counts[key]):
            raise ValueError(
                f'{where}.{key} must be {counts[key]}, as the protocol says, '
                f'or None, got {value}; leave it to the protocol'
            )
        else:
            part[key] = counts[key]


def _damage(
    dataset: Any, protocol: Protocol, written: Mapping[str, Any]
) -> None:
    """Wrap the pipelines of the tested data sets."""
    if not protocol.corruption or written.get('corruption'):
        return
    corruptions = {
        m: {'type': DAMAGE[m], 'kind': kind, 'severity': protocol.severity}
        for m, kind in protocol.corruption.items()
    }
    for part in find_datasets(dataset, _is_concatenated(written)):
        part['pipeline'] = [
            {
                'type': 'CorruptedPipeline',
                'transforms': part['pipeline'],
                'corruptions': corruptions,
            }
        ]


def _measure(
    config: Any, protocol: Protocol, written: Mapping[str, Any]
) -> None:
    """Choose what a test reports, and on which data."""
    if protocol.measure in (None, 'source') or written.get('measure'):
        return
    if protocol.measure == 'misclassification':
        own = config['test_evaluator']
        config['test_evaluator'] = [
            *(own if isinstance(own, list) else [own]),
            {'type': 'MisclassificationDetection'},
        ]
    elif protocol.measure == 'open_set':
        config['test_evaluator'] = {'type': 'OpenSetAccuracy'}
    else:
        loader = config['test_dataloader']
        foreign = _foreign(loader['dataset'], config['protocol'])
        config['test_evaluator'] = {
            'type': 'OutOfDistributionDetection',
            'foreign_domains': list(foreign['domains']),
        }
        loader['dataset'] = {
            'type': 'ConcatDataset',
            'ignore_keys': ['corpus', 'classes', 'domains'],
            'datasets': [loader['dataset'], foreign],
        }


def _foreign(dataset: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    foreign = read_mapping(values, 'foreign')
    if not {'ann_file', 'domains'} <= set(foreign):
        raise ValueError(
            'protocol.foreign must name ann_file, data_root and domains of a '
            "corpus to tell apart with protocol.measure='out_of_distribution',"
            f' got {foreign}; another corpus of the same layout will do'
        )
    known = next(find_datasets(dataset))
    return {**copy.deepcopy(dict(known)), **foreign}
