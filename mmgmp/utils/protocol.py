"""Which domain is unseen and what is looked at, said once in a config.

``protocol`` names the domains of a corpus, the unseen one, the modalities and
the number of classes. :func:`resolve_protocol` writes it out into the data
loaders, the model and the default work directory; what it returns is a plain
config, and writing it out again changes nothing.

=====================  ===================================================
``domains``            all domains of the corpus, in label order
``target``             the unseen one, or a list of them
``sources``            those trained on; None takes all others
``modalities``         those that the model looks at
``num_classes``        classes of the corpus
``companions``         by modality: what is read with it when it is alone
``missing``            a list of modalities that are absent at test time, or
                       their stand-ins by name
``corruption``         kind of damage by modality, and ``severity``; tests only
``measure``            what a test reports besides or instead of accuracy
``foreign``            options of the data set that is told from the corpus
``allow_seen_target``  lets a target be among the sources, for an upper bound
=====================  ===================================================

Keys that are left out, or None, have no effect. Further keys are refused, so
that a misspelt one cannot go unnoticed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from mmengine.config import Config, ConfigDict

_AnyConfig = TypeVar('_AnyConfig', Config, ConfigDict)

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_NEEDED = ('domains', 'target', 'modalities', 'num_classes')
_KNOWN = (
    *_NEEDED, 'sources', 'companions', 'missing', 'corruption', 'measure',
    'foreign', 'allow_seen_target', 'written',
)  # fmt: skip
_HEADS = ('cls_head', 'domain_head', 'unimodal_heads', 'methods')
_DAMAGE = {'video': 'CorruptVideo', 'audio': 'CorruptAudio'}
_MEASURES = ('misclassification', 'open_set', 'out_of_distribution')


@dataclass(frozen=True)
class Protocol:
    """A checked protocol, its defaults filled in.

    Args:
        sources: Domains to train on, in label order.
        target: Unseen domains.
        modalities: What the model looks at, in the model's order.
        loads: What is read: these, and companions.
        num_classes: Classes of the corpus.
        missing: Stand-in by absent modality, tests only.
        corruption: Kind of damage by modality, tests only.
        severity: Of the damage, 1 to 5.
        measure: What a test reports, None for accuracy.
    """

    sources: list[str]
    target: list[str]
    modalities: list[str]
    loads: list[str]
    num_classes: int
    missing: dict[str, str]
    corruption: dict[str, str]
    severity: int
    measure: str | None

    @property
    def name(self) -> str:
        """Name of a folder: what is trained on, tested on and looked at."""
        parts = [
            '-'.join(self.sources),
            'to',
            '-'.join(self.target),
            '-'.join(self.modalities),
            *(f'no-{modality}' for modality in self.missing),
            *(
                f'{kind}-{modality}-{self.severity}'
                for modality, kind in self.corruption.items()
            ),
            *([self.measure.replace('_', '-')] if self.measure else []),
        ]
        return '_'.join(parts)


def read_protocol(values: Mapping[str, Any], order: Sequence[str]) -> Protocol:
    """Check a protocol and fill in its defaults.

    Args:
        values: The config's ``protocol``.
        order: Modalities that the model has encoders for, in its order.

    Returns:
        The protocol; domains and modalities in the order of the corpus and of
        the model, however they were written.

    Raises:
        ValueError: If a key, domain or modality is unknown or named twice, a
            target is among the sources, or there is no source or target.

    Example:
        >>> values = dict(domains=['a', 'b', 'c'], target='b', num_classes=2,
        ...               modalities=['audio', 'video'])
        >>> read_protocol(values, ['video', 'audio']).name
        'a-c_to_b_video-audio'
    """
    _check_keys(values)
    domains = _names('domains', values['domains'], values['domains'])
    target = _names('target', values['target'], domains)
    others = [domain for domain in domains if domain not in target]
    sources = _names('sources', values.get('sources') or others, domains)
    is_seen = {*sources} & {*target} and not values.get('allow_seen_target')
    if not sources or not target or is_seen:
        raise ValueError(
            'protocol.sources and protocol.target must be different domains, '
            f'at least one each, of {domains}, got sources={sources} and '
            f'target={target}; set protocol.target alone to train on all '
            'others'
        )
    modalities = _names('modalities', values['modalities'], order)
    if not modalities:
        raise ValueError(
            f'protocol.modalities must name at least one of {list(order)}, '
            'got none'
        )
    corruption = {k: v for k, v in _get(values, 'corruption').items() if v}
    severity = corruption.pop('severity', 3)
    _check_choices('corruption', corruption, [*_DAMAGE, 'severity'])
    _check_choices('corruption', corruption, modalities)
    measure = values.get('measure')
    _check_choices('measure', [measure] if measure else [], _MEASURES)
    num_classes = values['num_classes']
    if not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(
            'protocol.num_classes must be an integer >= 2, got '
            f'{num_classes!r}; it is the number of classes of the corpus'
        )
    return Protocol(
        sources,
        target,
        modalities,
        _loads(modalities, _get(values, 'companions')),
        num_classes,
        _stand_ins(values.get('missing'), modalities),
        corruption,
        severity,
        measure,
    )


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
    values, model = config['protocol'], config['model']
    order = model.get('modality_order') or list(model['encoders'])
    protocol = read_protocol(
        values, [m for m in order if model['encoders'].get(m) is not None]
    )
    written: dict[str, Any] = values.get('written') or {}
    _check_written(protocol, written)
    for loader in _LOADERS:
        if config.get(loader) is not None:
            _write_data(config[loader]['dataset'], loader, protocol, written)
    _write_model(model, protocol)
    settings = (config.get('default_hooks') or {}).get('settings')
    if values.get('allow_seen_target') is not None and settings:
        settings['allow_seen_target'] = values['allow_seen_target']
    if config.get('test_dataloader') is not None:
        _write_tests(config, protocol, written)
    is_file = isinstance(config, Config) and config.filename
    stem = Path(config.filename).stem if is_file else ''
    if config.get('work_dir') == f'./work_dirs/{stem}':
        # The stock scripts' default knows the file, not what is unseen.
        config['work_dir'] += f'/{protocol.name}'
    values['written'] = asdict(protocol)
    return config


# -- reading ----------------------------------------------------------------


def _check_keys(values: Mapping[str, Any]) -> None:
    unknown = sorted(set(values) - set(_KNOWN))
    lacking = [key for key in _NEEDED if values.get(key) is None]
    if unknown or lacking:
        raise ValueError(
            f'protocol must have the keys {list(_NEEDED)} and may have '
            f'{[key for key in _KNOWN if key not in (*_NEEDED, "written")]}, '
            f'got {sorted(values)}; correct {unknown or lacking}'
        )


def _get(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(
            f'protocol.{key} must be a mapping by modality, got {value!r}; '
            f'for example protocol.{key}.audio=...'
        )
    return dict(value)


def _names(key: str, value: Any, known: Sequence[str]) -> list[str]:
    """Return different known names in the known order."""
    names = [value] if isinstance(value, str) else list(value)
    known = [known] if isinstance(known, str) else list(known)
    if len(set(names)) < len(names):
        raise ValueError(f'protocol.{key} must name each once, got {names}')
    _check_choices(key, names, known)
    return [name for name in known if name in names]


def _check_choices(key: str, names: Any, known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f'protocol.{key} must be among {list(known)}, got {unknown}'
        )


def _loads(
    modalities: Sequence[str], companions: Mapping[str, str]
) -> list[str]:
    """Add what has to be read with a modality that is alone."""
    if len(modalities) == 1 and modalities[0] in companions:
        return [companions[modalities[0]], *modalities]
    return list(modalities)


def _stand_ins(value: Any, modalities: Sequence[str]) -> dict[str, str]:
    if value is None or isinstance(value, (str, list, tuple)):
        names = [value] if isinstance(value, str) else (value or ())
        value = dict.fromkeys(names, 'zeros')
    stand_ins = {m: stand_in for m, stand_in in value.items() if stand_in}
    _check_choices('missing', stand_ins, modalities)
    if len(stand_ins) == len(modalities):
        raise ValueError(
            'protocol.missing must leave one modality of '
            f'{list(modalities)}, got {list(stand_ins)}'
        )
    return stand_ins


# -- writing ----------------------------------------------------------------


def _check_written(protocol: Protocol, written: Mapping[str, Any]) -> None:
    """Refuse to turn one written config into another that it cannot be.

    Encoders, a discriminator and an undamaged pipeline that were left out are
    not there any more.
    """
    if not written:
        return
    now = asdict(protocol)
    final = [
        key
        for key in ('modalities', 'num_classes', 'missing', 'corruption',
                    'severity', 'measure')
        if written[key] != now[key]
        and (written[key] or key in ('modalities', 'num_classes'))
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


def _datasets(dataset: Any, is_ours: bool) -> Iterator[Any]:
    """The data sets of the corpus inside wrappers."""
    if 'dataset' in dataset:
        yield from _datasets(dataset['dataset'], is_ours)
    elif 'datasets' in dataset:
        # Behind the first of a concatenation of ours comes a foreign one.
        for part in dataset['datasets'][: 1 if is_ours else None]:
            yield from _datasets(part, is_ours)
    else:
        yield dataset


def _is_concatenated(protocol: Mapping[str, Any]) -> bool:
    return protocol.get('measure') == 'out_of_distribution'


def _write_data(
    dataset: Any, loader: str, protocol: Protocol, written: Mapping[str, Any]
) -> None:
    is_test = loader == 'test_dataloader'
    side = 'target' if is_test else 'sources'
    wanted = {'domains': getattr(protocol, side), 'modalities': protocol.loads}
    before = {'domains': written.get(side), 'modalities': written.get('loads')}
    for part in _datasets(dataset, is_test and _is_concatenated(written)):
        for key, value in wanted.items():
            found = list(part.get(key) or ())
            if found and found not in (value, before[key]):
                raise ValueError(
                    f'{loader}.dataset.{key} must follow from the protocol, '
                    f'which gives {value}, got {found}; set protocol.'
                    f'{side if key == "domains" else key} instead'
                )
            part[key] = list(value)


def _write_model(model: Any, protocol: Protocol) -> None:
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
    if len(protocol.sources) == 1:
        model['domain_head'] = None  # there is nothing to tell apart
    counts = {
        'num_classes': protocol.num_classes,
        'num_domains': len(protocol.sources),
    }
    for key in _HEADS:
        _fill_in(model.get(key), counts, f'model.{key}')
    if protocol.missing:
        model['missing_modalities'] = dict(protocol.missing)


def _fill_in(part: Any, counts: Mapping[str, int], where: str) -> None:
    """Write numbers of classes and domains where None stands for them."""
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


def _write_tests(
    config: Any, protocol: Protocol, written: Mapping[str, Any]
) -> None:
    """Damage what is tested, and choose what is reported."""
    loader = config['test_dataloader']
    if protocol.corruption and not written.get('corruption'):
        damage = {
            m: {
                'type': _DAMAGE[m],
                'kind': kind,
                'severity': protocol.severity,
            }
            for m, kind in protocol.corruption.items()
        }
        for dataset in _datasets(loader['dataset'], _is_concatenated(written)):
            dataset['pipeline'] = [
                {
                    'type': 'CorruptedPipeline',
                    'transforms': dataset['pipeline'],
                    'corruptions': damage,
                }
            ]
    if not protocol.measure or written.get('measure'):
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
    foreign = _get(values, 'foreign')
    if not {'ann_file', 'domains'} <= set(foreign):
        raise ValueError(
            'protocol.foreign must name ann_file, data_root and domains of a '
            "corpus to tell apart with protocol.measure='out_of_distribution',"
            f' got {foreign}; another corpus of the same layout will do'
        )
    known = next(_datasets(dataset, is_ours=False))
    return {**copy.deepcopy(dict(known)), **foreign}
