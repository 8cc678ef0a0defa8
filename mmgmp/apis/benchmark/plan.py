"""What a benchmark runs: a short file, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.options import Overrides, flatten
from mmgmp.apis.benchmark.plan_checks import (
    check_choice,
    check_count,
    check_keys,
    check_needed,
    check_seeds,
    check_span,
    check_sweep,
    mapping,
    scalar,
    shown,
    texts,
    words,
)
from mmgmp.apis.benchmark.plan_file import check_name, read_plan_file, slug

_KEYS = (
    'title', 'corpus', 'synthetic', 'names', 'methods', 'targets',
    'modalities', 'seeds', 'overrides', 'parameters', 'search',
    'evaluations', 'metrics', 'compare_to', 'published', 'checkpoint',
    'keep', 'work_dir',
)  # fmt: skip
_METHOD_KEYS = ('config', 'overrides', 'space', 'sweep', 'compare_to')
_SEARCH_KEYS = ('trials', 'reruns', 'seed', 'oracle', 'sampler', 'startup')
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
        return _plan(path, read_plan_file(path), work_dir, overrides, amp)
    except ValueError as error:
        # One that names another file comes from what the plan inherits.
        is_named = str(path) in str(error)
        raise ValueError(
            str(error) if is_named else f'{path}: {error}'
        ) from error


def _plan(
    path: Path,
    raw: dict[str, Any],
    work_dir: str | Path | None,
    overrides: Mapping[str, Any] | None,
    amp: bool,
) -> Plan:
    check_keys('the plan', raw, _KEYS)
    check_needed(raw)
    methods = {
        str(name): _method(str(name), value)
        for name, value in mapping('methods', raw['methods']).items()
    }
    _check_comparisons(raw, methods)
    for key, known in (
        ('checkpoint', ('best', 'last')),
        ('keep', ('best', 'all')),
        ('synthetic', (False, True)),
    ):
        check_choice(key, raw.get(key, known[0]), known)
    search = raw.get('search')
    swept = [name for name, method in methods.items() if method.sweep]
    if search is not None and swept:
        raise ValueError(
            'methods must have no sweep in a plan with a search, got one in '
            f'{swept}; write two plans'
        )
    return Plan(
        path=path,
        title=shown('title', raw.get('title', path.stem)),
        corpus=shown('corpus', raw['corpus']),
        synthetic=raw.get('synthetic', False),
        names=words('names', raw),
        methods=methods,
        targets=_choices('targets', raw['targets'], 'protocol.target'),
        modalities=_choices(
            'modalities',
            raw.get('modalities', {'': {'overrides': {}}}),
            'protocol.modalities',
        ),
        seeds=check_seeds(raw.get('seeds', [0])),
        overrides={
            **flatten(mapping('overrides', raw.get('overrides', {}))),
            **flatten(overrides or {}),
        },
        parameters=words('parameters', raw),
        search=None if search is None else _search(search),
        evaluations=_evaluations(raw.get('evaluations', {})),
        metrics=words('metrics', raw) or {'target': 'test/acc/top1'},
        compare_to=texts('compare_to', raw.get('compare_to', [])),
        published=mapping('published', raw.get('published', {})),
        checkpoint=raw.get('checkpoint', 'best'),
        keep=raw.get('keep', 'best'),
        work_dir=Path(
            work_dir
            or scalar('work_dir', raw.get('work_dir'))
            or f'work_dirs/benchmark/{path.stem}'
        ),
        amp=amp,
    )


def _check_comparisons(
    raw: Mapping[str, Any], methods: Mapping[str, Method]
) -> None:
    for name in texts('compare_to', raw.get('compare_to', [])):
        check_choice('compare_to', name, tuple(methods))
    for row, method in methods.items():
        for name in method.compare_to or ():
            others = tuple(other for other in methods if other != row)
            check_choice(f'methods.{row}.compare_to', name, others)


def _evaluations(value: Any) -> dict[str, Overrides]:
    evaluations = _choices('evaluations', value, None) if value else {}
    files = [slug(name).lower() for name in evaluations]
    reserved = [
        name
        for name, file in zip(evaluations, files, strict=True)
        if file in _RESERVED or files.count(file) > 1
    ]
    if reserved:
        raise ValueError(
            f'evaluations must not be named {reserved}, which the runner uses '
            'itself or which give the same file names; rename them'
        )
    return evaluations


def _method(name: str, value: Any) -> Method:
    check_name('methods', name)
    if slug(name).lower().startswith('report.'):
        raise ValueError(
            f'methods must not be named as the report is, got {name!r}; '
            'rename it'
        )
    key = f'methods.{name}'
    if isinstance(value, str):
        value = {'config': value}
    if not isinstance(value, Mapping) or not isinstance(
        value.get('config'), str
    ):
        raise ValueError(
            f'{key} must be the path of a config, or a mapping with a '
            f'config, got {value!r:.200}'
        )
    check_keys(key, value, _METHOD_KEYS)
    if Path(value['config']).suffix in ('.yml', '.yaml'):
        raise ValueError(
            f'{key} must name a Python or JSON config, got '
            f'{value["config"]!r}: MMEngine runs what a YAML config names, '
            'though it looks like data; write it as Python'
        )
    config = scalar(f'{key}.config', value['config'])
    space = mapping(f'{key}.space', value.get('space', {}))
    for parameter, span in space.items():
        check_span(f'{key}.space.{parameter}', span)
    own = value.get('compare_to')
    return Method(
        config,
        flatten(mapping(f'{key}.overrides', value.get('overrides', {}))),
        space,
        check_sweep(f'{key}.sweep', value.get('sweep', [])),
        None if own is None else texts(f'{key}.compare_to', own),
    )


def _choices(
    key: str, value: Any, config_key: str | None
) -> dict[str, Overrides]:
    """Read an axis: a value is that of ``config_key``, or overrides."""
    if isinstance(value, (list, tuple)):
        value = {name: name for name in texts(key, value)}
    if not isinstance(value, Mapping) or not value:
        raise ValueError(
            f'{key} must be a list of names or a mapping, got {value!r:.200}'
        )
    choices = {}
    for name, item in value.items():
        # The only one of several sets of modalities may go without a name.
        if name or key != 'modalities':
            check_name(key, str(name))
        place = f'{key}.{name}'
        if isinstance(item, Mapping):
            check_keys(place, item, ('overrides',))
            choices[str(name)] = flatten(
                mapping(place, item.get('overrides', {}))
            )
        elif config_key is not None:
            is_list = isinstance(item, (list, tuple))
            word = texts(place, item) if is_list else scalar(place, item)
            choices[str(name)] = flatten({config_key: word})
        else:
            raise ValueError(
                f'{place} must hold overrides, got {item!r:.200}; for '
                'example {overrides: {protocol.missing: [audio]}}'
            )
    return choices


def _search(value: Any) -> Search:
    check_keys('search', mapping('search', value), _SEARCH_KEYS)
    search = Search(**value)
    check_choice('search.oracle', search.oracle, (False, True))
    check_choice('search.sampler', search.sampler, ('random', 'tpe'))
    for key, least in (('trials', 0), ('reruns', 0), ('seed', 0)):
        check_count(f'search.{key}', getattr(search, key), least)
    check_count('search.startup', search.startup, 1)
    return search
