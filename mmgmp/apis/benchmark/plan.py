"""What a benchmark runs: a short file, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.apis.benchmark.options import Overrides, flatten

_KEYS = (
    'title', 'corpus', 'synthetic', 'names', 'methods', 'targets',
    'modalities', 'seeds', 'overrides', 'parameters', 'search',
    'evaluations', 'metrics', 'compare_to', 'published', 'checkpoint',
    'keep', 'work_dir',
)  # fmt: skip
_METHOD_KEYS = ('config', 'overrides', 'space', 'sweep', 'compare_to')
_SEARCH_KEYS = ('trials', 'reruns', 'seed', 'oracle', 'sampler', 'startup')


@dataclass(frozen=True)
class Choice:
    """One value of a grid axis.

    Args:
        name: Fills the axis's placeholder in the config paths.
        overrides: Config keys that it sets.
    """

    name: str
    overrides: Overrides = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Args:
        config: Path of the training config, relative to the plan, with
            ``{target}`` and ``{modalities}`` where they differ.
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
        names: What fills further placeholders of the config paths.
        methods: Rows by name.
        targets: Unseen domains by name; fill ``{target}``.
        modalities: Modality sets by name; fill ``{modalities}``.
        seeds: Training seeds, the same for all methods.
        overrides: Config keys set in every cell.
        parameters: Config keys by the short names used in ``space`` and
            ``sweep``.
        search: Hyper-parameter search, or None.
        evaluations: Further test-time configs by name.
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
    targets: Mapping[str, Choice]
    modalities: Mapping[str, Choice]
    seeds: tuple[int, ...]
    overrides: Overrides
    parameters: Mapping[str, str]
    search: Search | None
    evaluations: Mapping[str, Choice]
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
        path: YAML or Python file, read as MMEngine reads configs.
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
    config = Config.fromfile(path, import_custom_modules=False)
    raw: dict[str, Any] = config.to_dict()
    _check_keys('the plan', raw, _KEYS)
    _check_needed(raw)
    methods = {
        str(name): _method(str(name), value)
        for name, value in raw['methods'].items()
    }
    compare_to = tuple(raw.get('compare_to', ()))
    for name in compare_to:
        _check_choice('compare_to', name, tuple(methods))
    for row, method in methods.items():
        for name in method.compare_to or ():
            others = tuple(other for other in methods if other != row)
            _check_choice(f'methods.{row}.compare_to', name, others)
    for key, known in (
        ('checkpoint', ('best', 'last')),
        ('keep', ('best', 'all')),
    ):
        _check_choice(key, raw.get(key, known[0]), known)
    evaluations = _choices('evaluations', raw.get('evaluations', {}))
    reserved = sorted({'train', 'test', 'val', 'cell'} & set(evaluations))
    if reserved:
        raise ValueError(
            f'evaluations must not be named {reserved}, which the runner '
            'uses itself; rename them'
        )
    search = raw.get('search')
    swept = [name for name, method in methods.items() if method.sweep]
    if search is not None and swept:
        raise ValueError(
            'methods must have no sweep in a plan with a search, got one in '
            f'{swept}; write two plans'
        )
    return Plan(
        path=path,
        title=str(raw.get('title', path.stem)),
        corpus=str(raw['corpus']),
        synthetic=bool(raw.get('synthetic', False)),
        names={k: str(v) for k, v in raw.get('names', {}).items()},
        methods=methods,
        targets=_choices('targets', raw['targets']),
        modalities=_choices('modalities', raw.get('modalities', {'': ''})),
        seeds=_seeds(raw.get('seeds', [0])),
        overrides={
            **flatten(raw.get('overrides', {})),
            **flatten(overrides or {}),
        },
        parameters=raw.get('parameters', {}),
        search=None if search is None else _search(search),
        evaluations=evaluations,
        metrics=raw.get('metrics', {'target': 'test/acc/top1'}),
        compare_to=compare_to,
        published=raw.get('published', {}),
        checkpoint=raw.get('checkpoint', 'best'),
        keep=raw.get('keep', 'best'),
        work_dir=Path(
            work_dir or raw.get('work_dir', f'work_dirs/benchmark/{path.stem}')
        ),
        amp=amp,
    )


def _method(name: str, value: Any) -> Method:
    if isinstance(value, str):
        return Method(value)
    if not isinstance(value, Mapping) or 'config' not in value:
        raise ValueError(
            f'methods.{name} must be the path of a config, or a mapping with '
            f'a config, got {value!r}'
        )
    _check_keys(f'methods.{name}', value, _METHOD_KEYS)
    space = value.get('space', {})
    for parameter, span in space.items():
        _check_span(f'methods.{name}.space.{parameter}', span)
    own = value.get('compare_to')
    return Method(
        value['config'],
        flatten(value.get('overrides', {})),
        space,
        tuple(value.get('sweep', ())),
        None if own is None else tuple(own),
    )


def _choices(key: str, value: Any) -> dict[str, Choice]:
    if isinstance(value, (list, tuple)):
        value = {name: name for name in value}
    if not isinstance(value, Mapping):
        raise ValueError(
            f'{key} must be a list of names or a mapping, got {value!r}'
        )
    choices = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            _check_keys(f'{key}.{name}', item, ('name', 'overrides'))
            choices[str(name)] = Choice(
                str(item.get('name', name)),
                flatten(item.get('overrides', {})),
            )
        else:
            choices[str(name)] = Choice(str(item))
    return choices


def _seeds(value: Any) -> tuple[int, ...]:
    seeds = tuple(value) if isinstance(value, (list, tuple)) else ()
    is_valid = seeds and all(type(s) is int and s >= 0 for s in seeds)
    if not is_valid or len(set(seeds)) < len(seeds):
        raise ValueError(
            'seeds must be a list of different integers >= 0, got '
            f'{value!r}; for example [0, 1, 2]'
        )
    return seeds


def _search(value: Mapping[str, Any]) -> Search:
    _check_keys('search', value, _SEARCH_KEYS)
    search = Search(**value)
    _check_choice('search.sampler', search.sampler, ('random', 'tpe'))
    if min(search.trials, search.reruns) < 0:
        raise ValueError(
            'search.trials and search.reruns must be >= 0, got '
            f'{search.trials} and {search.reruns}; the published protocol '
            'has 10 and 2'
        )
    return search


def _check_span(key: str, span: Any) -> None:
    if isinstance(span, Mapping) and span.get('choices'):
        return
    if isinstance(span, list) and len(span) == 2 and span[0] <= span[1]:
        return
    raise ValueError(
        f"{key} must be [low, high] or {{'choices': [...]}}, got {span!r}"
    )


def _check_needed(raw: Mapping[str, Any]) -> None:
    for key in ('corpus', 'methods', 'targets'):
        if not raw.get(key):
            raise ValueError(
                f'{key} must be in the plan, got only {sorted(raw)}; see '
                'configs/plans for complete ones'
            )


def _check_keys(
    where: str, value: Mapping[str, Any], known: tuple[str, ...]
) -> None:
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(
            f'{where} must have no keys but {sorted(known)}, got {unknown}; '
            'correct the spelling'
        )


def _check_choice(key: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f'{key} must be one of {list(known)}, got {value!r}')
