"""Averaged weights as an option of any row of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmgmp.apis.benchmark.options import Overrides
from mmgmp.utils.checks import check_choice
from mmgmp.utils.typed_values import check_keys, demand, mapping

#: Where the hook of a row is, and what its type may be.
PLACE = 'default_hooks.teacher'
_SWAD = 'SWADHook'
_HOOKS = ('TeacherHook', 'EMAHook', _SWAD)
_TYPES = {
    'ema': 'ExponentialMovingAverage',
    'sma': 'StochasticWeightAverage',
}
_BEGIN = ('begin_iter', 'begin_epoch')
_OPTIONS = {'ema': ('momentum', *_BEGIN), 'sma': _BEGIN}
# Of MMEngine's exponential average, where nothing else is said.
_MOMENTUM = 0.0002


@dataclass(frozen=True)
class Averaged:
    """What is averaged how.

    Args:
        kind: ``'ema'``, exponentially, or ``'sma'``, all steps alike.
        options: ``momentum`` (of ``'ema'``), ``begin_iter``,
            ``begin_epoch``; see ``TeacherHook``.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def overrides(
        self, defaults: Mapping[str, Mapping[str, Any]]
    ) -> Overrides:
        """Return the config keys that average the weights of any config.

        Args:
            defaults: Options by kind, of the corpus.

        Example:
            >>> Averaged('sma').overrides({'sma': {'begin_iter': 28}})[
            ...     'default_hooks.teacher.begin_iter']
            28
        """
        hook = {
            'type': 'TeacherHook',
            'ema_type': _TYPES[self.kind],
            'validate': 'teacher',
            'save': 'teacher',
            **({'momentum': 0.001} if self.kind == 'ema' else {}),
            **defaults.get(self.kind, {}),
            **self.options,
        }
        return {f'{PLACE}.{name}': value for name, value in hook.items()}


def read_averaged(place: str, value: Any) -> Averaged:
    """Read ``averaged`` of a row: a kind, or a kind with its options.

    Example:
        >>> read_averaged('averaged', {'ema': {'momentum': 0.02}}).options
        {'momentum': 0.02}
    """
    if not isinstance(value, Mapping):
        return Averaged(check_choice(place, value, list(_TYPES)))
    found = read_averaging(place, value)
    advice = 'for example {ema: {momentum: 0.02}}'
    demand(len(found) == 1, place, 'name one kind', list(found), advice)
    ((kind, options),) = found.items()
    return Averaged(kind, options)


def read_averaging(place: str, value: Any) -> dict[str, dict[str, Any]]:
    """Read ``averaging`` of a plan: options by kind."""
    kinds = mapping(place, value)
    check_keys(place, kinds, _TYPES)
    return {
        kind: _options(f'{place}.{kind}', kind, options)
        for kind, options in kinds.items()
    }


def _options(place: str, kind: str, value: Any) -> dict[str, Any]:
    options = mapping(place, value)
    check_keys(place, options, _OPTIONS[kind])
    for name in set(_BEGIN) & set(options):
        number = options[name]
        is_met = type(number) is int and number >= 0
        demand(is_met, f'{place}.{name}', 'be an integer >= 0', number)
    momentum = options.get('momentum', _MOMENTUM)
    is_met = type(momentum) is float and 0 < momentum < 1
    demand(is_met, f'{place}.momentum', 'be in (0, 1)', momentum)
    return options


def find_average(config: Mapping[str, Any]) -> str:
    """Say which average of the weights a config tests, ``''`` for none.

    Args:
        config: A training config.

    Example:
        >>> hook = dict(type='TeacherHook', momentum=0.02)
        >>> find_average(dict(default_hooks=dict(teacher=hook)))
        'EMA, momentum 0.02'
    """
    for hook in _hooks(config):
        is_teacher = hook.get('save', 'teacher') == 'teacher'
        if hook.get('type') in _HOOKS and is_teacher:
            return _describe(hook)
    return ''


def _hooks(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    hooks = [
        *(config.get('default_hooks') or {}).values(),
        *(config.get('custom_hooks') or ()),
    ]
    yield from (hook for hook in hooks if isinstance(hook, Mapping))


def _describe(hook: Mapping[str, Any]) -> str:
    if hook.get('type') == _SWAD:
        return f'SWAD, measured every {hook.get("interval", 100)} iterations'
    name = hook.get('ema_type', _TYPES['ema'])
    parts = ['SMA' if name == _TYPES['sma'] else str(name)]
    if name == _TYPES['ema']:
        parts = ['EMA', f'momentum {hook.get("momentum", _MOMENTUM)}']
    for key, unit in zip(_BEGIN, ('iteration', 'epoch'), strict=True):
        if hook.get(key):
            parts.append(f'from {unit} {hook[key]}')
    return ', '.join(parts)


def check_single_average(row: str, config: Mapping[str, Any]) -> None:
    """Refuse to average a row whose config does so already.

    Args:
        row: Name of the row.
        config: Its config without what ``averaged`` sets.

    Raises:
        ValueError: If the config has an averaged model.
    """
    found = [h for h in _hooks(config) if h.get('type') in _HOOKS]
    if found:
        raise ValueError(
            f'averaged of methods.{row} must be left out, got a config that '
            f'has a {found[0]["type"]} of its own ({_describe(found[0])}); '
            'set the options of that one with overrides of '
            f'{PLACE}.<option>'
        )
