"""What the short names of a report stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mmgmp.apis.report.tables import AVERAGE

if TYPE_CHECKING:
    from mmgmp.apis.benchmark.plan import Plan

_TARGET, _SOURCES = 'protocol.target', 'protocol.sources'
_MODALITIES = 'protocol.modalities'
_TOP1 = 'acc/top1'
_WHERE = {
    'val': 'on the held-out clips of the source domains, which select the '
    'checkpoint',
    'test': 'on the unseen target domain',
}
_PARTS = {'train': 'training', 'val': 'validation', 'test': 'test'}
_SETTINGS = {
    'num_workers': 'processes that load data',
    'persistent_workers': 'loading processes kept between epochs',
    'batch_size': 'clips in a batch',
    'dataset.indices': 'clips used',
    'dataset.data_root': 'folder of the corpus',
    'train_cfg.max_epochs': 'epochs',
    'optim_wrapper.optimizer.lr': 'learning rate',
    'optim_wrapper.optimizer.weight_decay': 'weight decay',
}


def target_words(plan: Plan) -> dict[str, str]:
    """Say which domain each column is of, where its name does not.

    Args:
        plan: The plan.

    Returns:
        Words by target; one that is named after its domain is left out.
    """
    found = {}
    for name, overrides in plan.targets.items():
        words = _listed(overrides.get(_TARGET, ''))
        if sources := _listed(overrides.get(_SOURCES, '')):
            words = f'{sources} to {words or "the target of the config"}'
        if words and words != name:
            found[name] = words
    return found


def column_words(plan: Plan, column: str) -> str:
    """Write the head of a column.

    Args:
        plan: The plan.
        column: A target or ``'avg'``, perhaps with ``', published'`` behind.

    Returns:
        ``'H (human)'`` for ``'H'``, if the plan says so.
    """
    name, comma, rest = column.partition(', ')
    words = target_words(plan).get(name)
    return f'{name} ({words}){comma}{rest}' if words else column


def axis_notes(plan: Plan, is_in_domain: bool = False) -> Iterator[str]:
    """Explain the names of columns and modality sets.

    Args:
        plan: The plan.
        is_in_domain: Whether no row has an unseen domain.
    """
    known = target_words(plan)
    names = [f'{x} = {known[x]}' if x in known else x for x in plan.targets]
    what = (
        'a test on clips of the domains that are trained on'
        if is_in_domain
        else 'the target domain, which training never sees'
    )
    note = f'A column is {what}: {", ".join(names)}.'
    if len(plan.targets) > 1:
        note += f' {AVERAGE} is the mean over them.'
    yield note
    sets = {
        name: ' + '.join(_values(overrides[_MODALITIES]))
        for name, overrides in plan.modalities.items()
        if name and _MODALITIES in overrides
    }
    if sets:
        texts = ', '.join(f'{k} = {words}' for k, words in sets.items())
        yield f'Modalities: {texts}.'


def metric_words(plan: Plan, heading: str, is_in_domain: bool = False) -> str:
    """Say in a sentence what a table holds.

    Args:
        plan: The plan.
        heading: Heading of the table, a key of ``plan.metrics``.
        is_in_domain: Whether no row has an unseen domain.
    """
    evaluation, _, metric = plan.metrics[heading].partition('/')
    where = _WHERE.get(evaluation, f'in the evaluation "{evaluation}"')
    if is_in_domain and evaluation in _WHERE:
        where = f'on the {_PARTS[evaluation]} clips of the trained domains'
    changes = plan.evaluations.get(evaluation)
    if changes:
        where += f' ({", ".join(f"{k}={v}" for k, v in changes.items())})'
    branch = metric.removeprefix(f'{_TOP1}_')
    if metric == _TOP1:
        what = 'Top-1 accuracy of the fused model'
    elif branch != metric:
        what = f'Top-1 accuracy of the {branch} branch of the model'
    else:
        what = f'Metric {metric}'
    return f'{what} {where}.'


def setting_words(overrides: Mapping[str, Any]) -> Iterator[str]:
    """Write changed settings in words, those of several loaders once.

    Args:
        overrides: Values by config key.

    Yields:
        One text per setting; a key without words stands as it is.

    Example:
        >>> list(setting_words({'train_dataloader.num_workers': 0,
        ...                     'test_dataloader.num_workers': 0, 'a.b': 1}))
        ['processes that load data: 0 (training, test)', 'a.b: 1']
    """
    parts: dict[tuple[str, str], list[str]] = {}
    for key, value in overrides.items():
        part, found, rest = key.partition('_dataloader.')
        is_loader = bool(found) and part in _PARTS
        name = rest if is_loader else key
        where = parts.setdefault((name, str(value)), [])
        where += [_PARTS[part]] if is_loader else []
    for (name, value), where in parts.items():
        words = _SETTINGS.get(name, name)
        yield f'{words}: {value}' + (f' ({", ".join(where)})' if where else '')


def _values(value: Any) -> list[str]:
    is_list = isinstance(value, (list, tuple))
    return [str(v) for v in value] if is_list else [str(value)]


def _listed(value: Any) -> str:
    return ', '.join(_values(value)) if value else ''
