"""What a benchmark runs: a short file, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark import plan_values as values
from mmgmp.apis.benchmark.averaging import (
    Averaged,
    read_averaged,
    read_averaging,
)
from mmgmp.apis.benchmark.options import Overrides, flatten
from mmgmp.apis.benchmark.plan_file import read_plan_file
from mmgmp.apis.benchmark.rows import Ensemble, check_rows, read_ensemble
from mmgmp.utils.checks import check_choice
from mmgmp.utils.file_names import check_name, slug
from mmgmp.utils.typed_values import (
    Reader,
    check_keys,
    choice,
    demand,
    key,
    mapping,
    optional,
    read_as,
    read_keys,
    scalar,
    texts,
)

# Stages and files that the runner itself names in the folder of a cell.
_RESERVED = ('cell', 'failure', 'source', 'test', 'train', 'val')
_NO_TRAINING = ('overrides', 'space', 'sweep', 'averaged')


def _config(place: str, value: Any) -> str:
    demand(isinstance(value, str), place, 'be the path of a config', value)
    rule = 'name a Python or JSON config'
    advice = 'MMEngine runs what a YAML config names'
    is_code = Path(value).suffix not in ('.yml', '.yaml')
    demand(is_code, place, rule, value, advice)
    return scalar(place, value)


def _overrides(place: str, value: Any) -> Overrides:
    return flatten(mapping(place, value))


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of the table.

    Args:
        config: Path of the training config, relative to the plan, with the
            placeholders of the plan's ``names``; ``''`` of an ensemble.
        overrides: Config keys that it sets; ``{best:ROW}`` stands for the
            tested checkpoint of another row.
        space: Search range by parameter: ``[low, high]`` or
            ``{'choices': [...]}``.
        sweep: Grids of parameter values, each trained in full.
        compare_to: Methods that this one is compared with; None takes those
            of the plan.
        averaged: Which average of its weights is tested, None for none.
        ensemble: The rows that it is a mean of; it trains nothing then.
    """

    config: str = field(metadata=key(_config, ''))
    overrides: Overrides = field(metadata=key(_overrides, {}))
    space: Mapping[str, Any] = field(metadata=key(values.space, {}))
    sweep: tuple[Mapping[str, list[Any]], ...] = field(
        metadata=key(values.sweep, [])
    )
    compare_to: tuple[str, ...] | None = field(
        metadata=key(optional(texts), None)
    )
    averaged: Averaged | None = field(
        metadata=key(optional(read_averaged), None)
    )
    ensemble: Ensemble | None = field(
        metadata=key(optional(read_ensemble), None)
    )


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

    trials: int = field(default=10, metadata=key(values.count(0)))
    reruns: int = field(default=2, metadata=key(values.count(0)))
    seed: int = field(default=0, metadata=key(values.count(0)))
    oracle: bool = field(default=False, metadata=key(choice(False, True)))
    sampler: str = field(
        default='random', metadata=key(choice('random', 'tpe'))
    )
    startup: int = field(default=4, metadata=key(values.count(1)))


def _methods(place: str, value: Any) -> dict[str, Method]:
    methods = {}
    for name, item in mapping(place, value).items():
        check_name(place, name)
        is_report = slug(name).lower().startswith('report.')
        rule = 'not be named as the report is'
        demand(not is_report, place, rule, name, 'rename it')
        raw = item if isinstance(item, Mapping) else {'config': item}
        methods[name] = _method(f'{place}.{name}', raw)
    return methods


def _method(place: str, raw: Mapping[str, Any]) -> Method:
    method: Method = read_as(Method)(place, raw)
    is_named = bool(method.config) is (method.ensemble is None)
    rule, advice = 'have a config or an ensemble', 'name one of both'
    demand(is_named, place, rule, dict(raw), advice)
    wrong = [name for name in _NO_TRAINING if getattr(method, name)]
    rule = f'set no {wrong}, as an ensemble trains nothing'
    is_met = method.ensemble is None or not wrong
    demand(is_met, place, rule, dict(raw), 'set them in its members')
    return method


def _metrics(place: str, value: Any) -> dict[str, str]:
    return values.words(place, value or {'target': 'test/acc/top1'})


def _axis(config_key: str) -> Reader:
    """Return a reader of names with values of a config key, or overrides."""

    def read(place: str, value: Any) -> dict[str, Overrides]:
        if isinstance(value, (list, tuple)):
            value = {name: name for name in texts(place, value)}
        is_axis = isinstance(value, Mapping) and bool(value)
        demand(is_axis, place, 'be a list of names or a mapping', value)
        return {
            name: _axis_item(place, name, item, config_key)
            for name, item in mapping(place, value).items()
        }

    return read


def _axis_item(axis: str, name: str, item: Any, config_key: str) -> Overrides:
    # The only one of several sets of modalities may go without a name.
    if name or axis != 'modalities':
        check_name(axis, name)
    place = f'{axis}.{name}'
    if isinstance(item, Mapping):
        found = mapping(place, item)
        check_keys(place, found, ['overrides'])
        return _overrides(place, found.get('overrides', {}))
    example = 'for example {overrides: {protocol.missing: [audio]}}'
    demand(bool(config_key), place, 'hold overrides', item, example)
    is_list = isinstance(item, (list, tuple))
    read = texts if is_list else scalar
    return flatten({config_key: read(place, item)})


def _evaluations(place: str, value: Any) -> dict[str, Overrides]:
    found: dict[str, Overrides] = _axis('')(place, value) if value else {}
    files = [slug(name).lower() for name in found]
    wrong = {f for f in files if f in _RESERVED or files.count(f) > 1}
    names = [name for name in found if slug(name).lower() in wrong]
    rule = f'not be named {names}, as files of the runner or each other'
    demand(not wrong, place, rule, names, 'rename them')
    return found


@dataclass(frozen=True, kw_only=True)
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
        averaging: Options of ``averaged`` rows by kind, of the corpus.
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
    title: str = field(metadata=key(values.shown))
    corpus: str = field(metadata=key(values.shown))
    synthetic: bool = field(metadata=key(choice(False, True), False))
    names: Mapping[str, str] = field(metadata=key(values.words, {}))
    methods: Mapping[str, Method] = field(metadata=key(_methods))
    targets: Mapping[str, Overrides] = field(
        metadata=key(_axis('protocol.target'))
    )
    modalities: Mapping[str, Overrides] = field(
        metadata=key(_axis('protocol.modalities'), {'': {}})
    )
    seeds: tuple[int, ...] = field(metadata=key(values.seeds, [0]))
    overrides: Overrides = field(metadata=key(_overrides, {}))
    averaging: Mapping[str, Mapping[str, Any]] = field(
        metadata=key(read_averaging, {})
    )
    parameters: Mapping[str, str] = field(metadata=key(values.words, {}))
    search: Search | None = field(
        metadata=key(optional(read_as(Search)), None)
    )
    evaluations: Mapping[str, Overrides] = field(
        metadata=key(_evaluations, {})
    )
    metrics: Mapping[str, str] = field(metadata=key(_metrics, {}))
    compare_to: tuple[str, ...] = field(metadata=key(texts, []))
    published: Mapping[str, Any] = field(metadata=key(mapping, {}))
    checkpoint: str = field(metadata=key(choice('best', 'last'), 'best'))
    keep: str = field(metadata=key(choice('best', 'all'), 'best'))
    work_dir: Path = field(metadata=key(scalar, ''))
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
        raw = {'title': path.stem, **read_plan_file(path)}
        found = read_keys('', raw, Plan)
        found['overrides'].update(flatten(overrides or {}))
        found['work_dir'] = Path(
            work_dir or found['work_dir'] or f'work_dirs/benchmark/{path.stem}'
        )
        plan = Plan(path=path, amp=amp, **found)
        _check_methods(plan)
    except ValueError as error:
        # One that names another file comes from what the plan inherits.
        is_named = str(path) in str(error)
        raise ValueError(
            str(error) if is_named else f'{path}: {error}'
        ) from error
    return plan


def _check_methods(plan: Plan) -> None:
    check_rows(plan.methods, plan.search is not None)
    for name in plan.compare_to:
        check_choice('compare_to', name, list(plan.methods))
    for row, method in plan.methods.items():
        others = [other for other in plan.methods if other != row]
        for name in method.compare_to or ():
            check_choice(f'methods.{row}.compare_to', name, others)
        rule = 'have no sweep in a plan with a search'
        is_met = plan.search is None or not method.sweep
        demand(is_met, 'methods', rule, row, 'write two plans')
