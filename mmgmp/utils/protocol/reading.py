"""A protocol as a config says it: checked, its defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mmgmp.utils.protocol.oracle import trained_domains

_NEEDED = ('domains', 'modalities', 'num_classes')
_KNOWN = (
    *_NEEDED, 'target', 'sources', 'companions', 'missing', 'corruption',
    'measure', 'foreign', 'allow_seen_target', 'oracle', 'in_domain', 'cache',
    'views', 'view_seed', 'unknown_classes', 'written',
)  # fmt: skip
#: Transform that damages a modality.
DAMAGE = {'video': 'CorruptVideo', 'audio': 'CorruptAudio'}
_MEASURES = (
    'misclassification', 'open_set', 'out_of_distribution', 'source',
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """A checked protocol, its defaults filled in.

    Args:
        sources: Source domains, in label order.
        target: Unseen domains; the sources if ``in_domain``.
        modalities: What the model looks at, in the model's order.
        loads: What is read: these, and companions.
        num_classes: Classes of the corpus.
        missing: Stand-in by absent modality, tests only.
        corruption: Kind of damage by modality, tests only.
        severity: Of the damage, 1 to 5.
        measure: What a test reports, None for accuracy on the target,
            ``'source'`` for accuracy on what the training validates on.
        cache: Folder of a feature cache to read instead of files.
        views: Views of a sample to draw among in training; None draws new
            ones from the files, or among all that a cache has.
        view_seed: Which views these are.
        oracle: Whether the target is trained on as well, as an upper bound;
            validation and selection stay on the sources.
        in_domain: Whether no domain is unseen: the sources are tested, on
            clips that are not trained on.
        unknown_classes: Classes that are not trained on; only a test with
            ``measure='open_set'`` has samples of them.
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
    cache: str | None = None
    views: int | None = None
    view_seed: int = 0
    oracle: bool = False
    in_domain: bool = False
    unknown_classes: list[str] = field(default_factory=list)

    @property
    def known_classes(self) -> int:
        """Number of classes that the model tells apart."""
        return self.num_classes - len(self.unknown_classes)

    @property
    def trained(self) -> list[str]:
        """Domains to train on, in label order."""
        return trained_domains(asdict(self))

    @property
    def name(self) -> str:
        """Name of a folder: what is trained on, tested on and looked at."""
        tested = ['-'.join(self.target)]
        parts = [
            '-'.join(self.sources),
            *(['in-domain'] if self.in_domain else ['to', *tested]),
            '-'.join(self.modalities),
            *(f'no-{modality}' for modality in self.missing),
            *(
                f'{kind}-{modality}-{self.severity}'
                for modality, kind in self.corruption.items()
            ),
            *([self.measure.replace('_', '-')] if self.measure else []),
            *([f'{self.views}-views'] if self.views else []),
            *(['cached'] if self.cache else []),
            *(['oracle'] if self.oracle else []),
            *(f'not-{n.replace(" ", "-")}' for n in self.unknown_classes),
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
            target is among the sources, there is no source or target, or a
            target where no domain is unseen.

    Example:
        >>> values = dict(domains=['a', 'b', 'c'], target='b', num_classes=2,
        ...               modalities=['audio', 'video'])
        >>> read_protocol(values, ['video', 'audio']).name
        'a-c_to_b_video-audio'
    """
    _check_keys(values)
    sources, target = _domains(values)
    modalities = _names('modalities', values['modalities'], order)
    if not modalities:
        raise ValueError(
            f'protocol.modalities must name at least one of {list(order)}, '
            'got none'
        )
    corruption, severity = _corruption(values, modalities)
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
        _loads(modalities, read_mapping(values, 'companions')),
        num_classes,
        _stand_ins(values.get('missing'), modalities),
        corruption,
        severity,
        measure,
        *_views(values),
        oracle=_flag(values, 'oracle', 'train on the target as well'),
        in_domain=_in_domain(values),
        unknown_classes=_unknown(values, num_classes),
    )


def read_mapping(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping of the protocol, empty if it is not there.

    Args:
        values: The config's ``protocol``.
        key: Its key.

    Raises:
        ValueError: If it is something else.
    """
    value = values.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(
            f'protocol.{key} must be a mapping, got {value!r}; for example '
            f'protocol.{key}.audio=...'
        )
    return dict(value)


def _check_keys(values: Mapping[str, Any]) -> None:
    unknown = sorted(set(values) - set(_KNOWN))
    needed = [*_NEEDED, *([] if values.get('in_domain') else ['target'])]
    lacking = [key for key in needed if values.get(key) is None]
    if unknown or lacking:
        raise ValueError(
            f'protocol must have the keys {needed} and may have '
            f'{[key for key in _KNOWN if key not in (*needed, "written")]}, '
            f'got {sorted(values)}; correct {unknown or lacking}'
        )


def _domains(values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return sources and target."""
    domains = _names('domains', values['domains'], None)
    target = _names('target', values.get('target') or [], domains)
    sources = [domain for domain in domains if domain not in target]
    if values.get('sources') is not None:
        sources = _names('sources', values['sources'], domains)
    if _in_domain(values) and sources:
        return sources, list(sources)
    is_seen = {*sources} & {*target} and not values.get('allow_seen_target')
    if not sources or not target or is_seen:
        raise ValueError(
            'protocol.sources and protocol.target must be different domains, '
            f'at least one each, of {domains}, got sources={sources} and '
            f'target={target}; set protocol.target alone to train on all '
            'others'
        )
    return sources, target


def _corruption(
    values: Mapping[str, Any], modalities: Sequence[str]
) -> tuple[dict[str, str], int]:
    """Return the kind of damage by modality, and its severity."""
    damage = {k: v for k, v in read_mapping(values, 'corruption').items() if v}
    severity = damage.pop('severity', 3)
    possible = [m for m in modalities if m in DAMAGE]
    _check_choices('corruption', damage, possible)
    return damage, severity


def _views(values: Mapping[str, Any]) -> tuple[str | None, int | None, int]:
    """Return the cache, the number of views and their seed."""
    cache = values.get('cache')
    if cache is not None and not isinstance(cache, str):
        raise ValueError(
            f'protocol.cache must be a folder, got {cache!r}; fill one with '
            'tools/cache_features.py'
        )
    for key, least in (('views', 1), ('view_seed', 0)):
        value = values.get(key)
        is_count = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_count and value >= least):
            raise ValueError(
                f'protocol.{key} must be an integer >= {least}, got '
                f'{value!r}; leave it out for the default'
            )
    return cache or None, values.get('views'), values.get('view_seed') or 0


def _flag(values: Mapping[str, Any], key: str, meaning: str) -> bool:
    flag = values.get(key) or False
    if not isinstance(flag, bool):
        raise ValueError(
            f'protocol.{key} must be True ({meaning}) or False, got {flag!r}'
        )
    return flag


def _in_domain(values: Mapping[str, Any]) -> bool:
    if not _flag(values, 'in_domain', 'no domain is unseen'):
        return False
    wrong = [key for key in ('target', 'oracle') if values.get(key)]
    if wrong:
        raise ValueError(
            'protocol.in_domain=True tests the sources on clips of their own, '
            f'so there must be no unseen domain, got {wrong}; set '
            f'{" and ".join(f"protocol.{key}=None" for key in wrong)}, or '
            'leave protocol.in_domain out'
        )
    return True


def _unknown(values: Mapping[str, Any], num_classes: int) -> list[str]:
    given = values.get('unknown_classes') or []
    names = _names('unknown_classes', given, None)
    if num_classes - len(names) < 2:
        raise ValueError(
            'protocol.unknown_classes must leave two classes or more of '
            f'{num_classes}, got {names}'
        )
    return names


def _names(key: str, value: Any, known: Sequence[str] | None) -> list[str]:
    """Return different names, in the known order if one is known."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(
        isinstance(name, str) for name in names
    ):
        raise ValueError(
            f'protocol.{key} must be a name or a list of names, got {value!r}'
        )
    if len(set(names)) < len(names):
        raise ValueError(f'protocol.{key} must name each once, got {names}')
    if known is None:
        return list(names)
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
