"""What a benchmark runs: a short file, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark import plan_values as values
from mmgmp.apis.benchmark.options import Overrides, flatten
from mmgmp.apis.benchmark.plan_file import read_plan_file
from mmgmp.utils.checks import check_choice

_NEEDED = ('corpus', 'methods', 'targets')
_DEFAULTS: dict[str, Any] = {
    'synthetic': False,
    'names': {},
    'modalities': {'': {'overrides': {}}},
    'seeds': [0],
    'overrides': {},
    'parameters': {},
    'search': None,
    'evaluations': {},
    'metrics': {},
    'compare_to': [],
    'published': {},
    'checkpoint': 'best',
    'keep': 'best',
    'work_dir': None,
}
_LEAST = {'trials': 0, 'reruns': 0, 'seed': 0, 'startup': 1}
_METHOD_KEYS = {'config', 'overrides', 'space', 'sweep', 'compare_to'}
# Stages and files that the runner itself names in the folder of a cell.
_RESERVED = ('cell', 'failure', 'test', 'train', 'val')


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Args:
        config: Path of the training config, relative to the plan, with the
            placeholders of the plan's ``names``.
        overrides: Config keys that it sets.
        space: Search range by parameter: ``[low, high]`` or
            ``{'choices': [...]}``.
        sweep: Grids of parameter values, each trained in full.
        compare_to: Methods that this one is compared with; None takes those
            of the plan.
    """

    config: str
    overrides: Overrides = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    sweep: tuple[Mapping[str, list[Any]], ...] = ()
    compare_to: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Search:
    """Search that source validation decides.

    Args:
        trials: Drawn configurations besides the default one, >= 0.
        reruns: Runs of the winner with new seeds, >= 0.
        seed: Of the drawn configurations.
        oracle: Whether all trials are tested, too, so that the report can
            state, apart, what selection on the target would have given.
        sampler: ``'random'``, or ``'tpe'`` to draw from what was found.
        startup: Trials that ``'tpe'`` waits for, >= 1.

    Source: MMDG-Bench (arXiv 2605.06643): 10 trials and 2 reruns.
    """

    trials: int = 10
    reruns: int = 2
    seed: int = 0
    oracle: bool = False
    sampler: str = 'random'
    startup: int = 4


@dataclass(frozen=True)
class Plan:
    """A whole table: methods x modality sets x targets x seeds.

    Args:
        path: File of the plan.
        title: Heading of the report.
        corpus: Name of the measured corpus.
        synthetic: Whether the corpus is rendered, not recorded.
        names: What fills placeholders of the config paths.
        methods: Rows by name.
        targets: Config keys that a target sets, by its name.
        modalities: Config keys that a modality set sets, by its name.
        seeds: Training seeds, the same for all methods.
        overrides: Config keys set in every cell.
        parameters: Config keys by the short names used in ``space`` and
            ``sweep``.
        search: Hyper-parameter search, or None.
        evaluations: Config keys of further tests, by their name.
        metrics: Reported numbers, ``<evaluation>/<metric>`` by heading;
            ``val`` is source validation and ``test`` the target.
        compare_to: Methods that all others are compared with, in pairs.
        published: Which published tables stand beside the measured one.
        checkpoint: ``'best'`` on source validation, or ``'last'``.
        keep: Only the ``'best'`` checkpoint of a finished cell, or ``'all'``.
        work_dir: Where everything goes.
        amp: Whether to train with mixed precision (``--amp``).
    """

    path: Path
    title: str
    corpus: str
    synthetic: bool
    names: Mapping[str, str]
    methods: Mapping[str, Method]
    targets: Mapping[str, Overrides]
    modalities: Mapping[str, Overrides]
    seeds: tuple[int, ...]
    overrides: Overrides
    parameters: Mapping[str, str]
    search: Search | None
    evaluations: Mapping[str, Overrides]
    metrics: Mapping[str, str]
    compare_to: tuple[str, ...]
    published: Mapping[str, Any]
    checkpoint: str
    keep: str
    work_dir: Path
    amp: bool = False

    def config_key(self, parameter: str) -> str:
        """Return the config key of a parameter's short name."""
        return self.parameters.get(parameter, parameter)


def load_plan(
    path: str | Path,
    work_dir: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    amp: bool = False,
) -> Plan:
    """Read a plan; it may inherit from others through ``_base_``.

    Args:
        path: YAML or JSON file, which is data, or Python file, which is code
            and run.
        work_dir: Replaces the plan's; by default
            ``work_dirs/benchmark/<name of the file>``.
        overrides: Config keys set in every cell, on top of the plan's.
        amp: Whether to train with mixed precision.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a key is unknown or missing, or a value is none that
            can be used.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'PLAN must be a YAML or Python file, got {str(path)!r}; the '
            'shipped ones are in configs/plans'
        )
    try:
        raw = {'title': path.stem, **_DEFAULTS, **read_plan_file(path)}
        _check(raw)
        return Plan(
            path=path,
            work_dir=Path(
                work_dir
                or values.scalar('work_dir', raw['work_dir'])
                or f'work_dirs/benchmark/{path.stem}'
            ),
            overrides={
                **flatten(values.mapping('overrides', raw['overrides'])),
                **flatten(overrides or {}),
            },
            amp=amp,
            **_names(raw),
            **_axes(raw),
        )
    except ValueError as error:
        # One that names another file comes from what the plan inherits.
        is_named = str(path) in str(error)
        raise ValueError(
            str(error) if is_named else f'{path}: {error}'
        ) from error


def _check(raw: Mapping[str, Any]) -> None:
    known = {'title', *_NEEDED, *_DEFAULTS}
    values.check_keys('the plan', raw, known)
    for key in _NEEDED:
        is_there = bool(raw.get(key))
        values.demand(is_there, key, 'be in the plan', raw.get(key))
    check_choice('synthetic', raw['synthetic'], (False, True))
    check_choice('checkpoint', raw['checkpoint'], ('best', 'last'))
    check_choice('keep', raw['keep'], ('best', 'all'))


def _names(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What is taken as it is: choices, titles and words by name."""
    shown = {
        key: values.check_name(key, values.scalar(key, raw[key]), False)
        for key in ('title', 'corpus')
    }
    return {
        **shown,
        **{key: raw[key] for key in ('synthetic', 'checkpoint', 'keep')},
        'names': values.words('names', raw['names']),
        'parameters': values.words('parameters', raw['parameters']),
        'metrics': values.words('metrics', raw['metrics'])
        or {'target': 'test/acc/top1'},
        'published': values.mapping('published', raw['published']),
    }


def _axes(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What the cells are made of."""
    methods = {
        name: _method(name, value)
        for name, value in values.mapping('methods', raw['methods']).items()
    }
    compare_to = values.texts('compare_to', raw['compare_to'])
    for name in compare_to:
        check_choice('compare_to', name, list(methods))
    for row, method in methods.items():
        others = [other for other in methods if other != row]
        for name in method.compare_to or ():
            check_choice(f'methods.{row}.compare_to', name, others)
    search = None if raw['search'] is None else _search(raw['search'])
    swept = [name for name, method in methods.items() if method.sweep]
    values.demand(
        search is None or not swept,
        'methods',
        'have no sweep in a plan with a search',
        swept,
        'write two plans',
    )
    return {
        'methods': methods,
        'compare_to': compare_to,
        'search': search,
        'targets': _choices('targets', raw['targets'], 'protocol.target'),
        'modalities': _choices(
            'modalities', raw['modalities'], 'protocol.modalities'
        ),
        'seeds': values.seeds('seeds', raw['seeds']),
        'evaluations': _evaluations(raw['evaluations']),
    }


def _evaluations(value: Any) -> dict[str, Overrides]:
    evaluations = _choices('evaluations', value, None) if value else {}
    files = [values.slug(name).lower() for name in evaluations]
    wrong = [
        name
        for name, file in zip(evaluations, files, strict=True)
        if file in _RESERVED or files.count(file) > 1
    ]
    if wrong:
        raise ValueError(
            f'evaluations must not be named {wrong}, which the runner uses '
            'itself or which give the same file names; rename them'
        )
    return evaluations


def _method(name: str, value: Any) -> Method:
    values.check_name('methods', name)
    is_report = values.slug(name).lower().startswith('report.')
    rule = 'not be named as the report is'
    values.demand(not is_report, 'methods', rule, name, 'rename it')
    key = f'methods.{name}'
    if isinstance(value, str):
        value = {'config': value}
    config = value.get('config') if isinstance(value, Mapping) else None
    rule = 'be the path of a config, or a mapping with a config'
    values.demand(isinstance(config, str), key, rule, value)
    values.check_keys(key, value, _METHOD_KEYS)
    values.demand(
        Path(str(config)).suffix not in ('.yml', '.yaml'),
        key,
        'name a Python or JSON config',
        config,
        'MMEngine runs what a YAML config names, though it looks like data',
    )
    overrides = values.mapping(f'{key}.overrides', value.get('overrides', {}))
    space = values.mapping(f'{key}.space', value.get('space', {}))
    own = value.get('compare_to')
    return Method(
        values.scalar(f'{key}.config', config),
        flatten(overrides),
        {k: values.span(f'{key}.space.{k}', v) for k, v in space.items()},
        values.sweep(f'{key}.sweep', value.get('sweep', [])),
        None if own is None else values.texts(f'{key}.compare_to', own),
    )


def _choices(
    key: str, value: Any, config_key: str | None
) -> dict[str, Overrides]:
    """Read an axis: a value is that of ``config_key``, or overrides."""
    if isinstance(value, (list, tuple)):
        value = {name: name for name in values.texts(key, value)}
    is_axis = isinstance(value, Mapping) and bool(value)
    values.demand(is_axis, key, 'be a list of names or a mapping', value)
    choices = {}
    for name, item in values.mapping(key, value).items():
        # The only one of several sets of modalities may go without a name.
        if name or key != 'modalities':
            values.check_name(key, name)
        place = f'{key}.{name}'
        if isinstance(item, Mapping):
            values.check_keys(place, item, {'overrides'})
            item = values.mapping(place, item.get('overrides', {}))
        else:
            example = 'for example {overrides: {protocol.missing: [audio]}}'
            is_value = config_key is not None
            values.demand(is_value, place, 'hold overrides', item, example)
            is_list = isinstance(item, (list, tuple))
            read = values.texts if is_list else values.scalar
            item = {str(config_key): read(place, item)}
        choices[name] = flatten(item)
    return choices


def _search(value: Any) -> Search:
    raw = values.mapping('search', value)
    values.check_keys('search', raw, set(Search.__dataclass_fields__))
    search = Search(**raw)
    check_choice('search.oracle', search.oracle, (False, True))
    check_choice('search.sampler', search.sampler, ('random', 'tpe'))
    for key, least in _LEAST.items():
        values.count(f'search.{key}', getattr(search, key), least)
    return search
