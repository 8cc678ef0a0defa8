"""Facts about a whole run, from its config."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmgmp.engine.settings.loaders import read_loader
from mmgmp.engine.settings.model import read_model
from mmgmp.registry import HOOKS
from mmgmp.utils.settings import LoaderFacts, RunFacts, ScheduleFacts

_TEACHERS = ('TeacherHook', 'EMAHook')


def gather_facts(
    config: Mapping[str, Any], mode: str = 'train', num_ranks: int = 1
) -> RunFacts:
    """Read what a run is about to do.

    Args:
        config: Resolved config; nothing in it is changed or built, but for
            datasets, without their pipelines.
        mode: ``'train'`` reads everything, ``'test'`` the test alone.
        num_ranks: Processes of the run.

    Returns:
        The facts.

    Example:
        >>> gather_facts({}).loaders
        []
    """
    is_training = mode == 'train'

    def loader(name: str) -> LoaderFacts | None:
        return read_loader(name, config.get(name), num_ranks)

    model = read_model(config.get('model'))
    modalities = model.modalities if model else ()
    val = loader('val_dataloader') if is_training else None
    evaluators = list(_dicts(config.get('test_evaluator')))
    selectors = list(_dicts(config.get('val_evaluator')))
    protocol = config.get('protocol') or {}
    topk = [
        k
        for evaluator in [*evaluators, *(selectors if is_training else ())]
        for k in _topk(evaluator)
    ]
    metrics = _metrics(selectors, val.all_domains if val else (), modalities)
    return RunFacts(
        train=loader('train_dataloader') if is_training else None,
        val=val,
        test=loader('test_dataloader'),
        model=model,
        schedule=_schedule(config, metrics),
        foreign_domains=tuple(
            d for e in evaluators for d in e.get('foreign_domains', ())
        ),
        is_open_set=any(
            e.get('type') == 'OpenSetAccuracy' for e in evaluators
        ),
        is_source=protocol.get('measure') == 'source',
        is_oracle=bool(protocol.get('oracle')),
        is_in_domain=bool(protocol.get('in_domain')),
        topk=max(topk, default=1),
        missing_checkpoint=_missing_checkpoint(config.get('load_from')),
    )


def _schedule(
    config: Mapping[str, Any], metrics: frozenset[str] | None
) -> ScheduleFacts:
    hooks = config.get('default_hooks') or {}
    best = (hooks.get('checkpoint') or {}).get('save_best')
    keys = [best] if isinstance(best, str) else list(best or ())
    wrapper = config.get('optim_wrapper')
    wrapper = wrapper if isinstance(wrapper, Mapping) else {}
    length = config.get('train_cfg')
    epochs = length.get('max_epochs') if isinstance(length, Mapping) else None
    return ScheduleFacts(
        max_epochs=epochs,
        schedules=[
            (
                str(item.get('type')),
                item.get('end'),
                tuple(item.get('milestones', ())),
            )
            for item in _dicts(config.get('param_scheduler'))
            if item.get('by_epoch', True)
        ],
        teacher=_teacher(config),
        strategies=tuple(
            f'optim_wrapper.{part}'
            for part in ('modulation', 'projection')
            if wrapper.get(part) is not None
        ),
        save_best=tuple(keys),
        val_readers=tuple(
            f'default_hooks.{name}'
            for name, hook in hooks.items()
            if _trains_by_validation(hook)
        )
        + tuple(
            f'custom_hooks.{place}'
            for place, hook in enumerate(_dicts(config.get('custom_hooks')))
            if _trains_by_validation(hook)
        ),
        metrics=metrics,
    )


def _trains_by_validation(hook: Any) -> bool:
    kind = hook.get('type') if isinstance(hook, Mapping) else type(hook)
    found = HOOKS.get(kind) if isinstance(kind, str) else kind
    return bool(getattr(found, 'trains_by_validation', False))


def _metrics(
    evaluators: Sequence[Mapping[str, Any]],
    domains: Sequence[str],
    modalities: Sequence[str],
) -> frozenset[str] | None:
    """Names that ``AudioVisualAccuracy`` computes; None with other metrics."""
    if not evaluators or any(
        e.get('type') != 'AudioVisualAccuracy' or e.get('per_class')
        for e in evaluators
    ):
        return None
    branches = ['', *(f'_{m}' for m in modalities)]
    names = set()
    for evaluator in evaluators:
        is_split = evaluator.get('per_domain', True) and len(domains) > 1
        groups = ['', *(f'{d}_' for d in domains if is_split)]
        prefix = evaluator.get('prefix') or 'acc'
        names |= {
            f'{prefix}/{group}top{k}{branch}'
            for group in groups
            for k in _topk(evaluator)
            for branch in branches
        }
    return frozenset(names)


def _topk(evaluator: Mapping[str, Any]) -> Sequence[int]:
    topk = evaluator.get('topk', (1,))
    if isinstance(topk, int):
        return (topk,)
    return [k for k in topk if isinstance(k, int)]


def _teacher(config: Mapping[str, Any]) -> tuple[str, int] | None:
    places = {
        f'default_hooks.{key}': hook
        for key, hook in (config.get('default_hooks') or {}).items()
    }
    for number, hook in enumerate(config.get('custom_hooks') or ()):
        places[f'custom_hooks.{number}'] = hook
    for place, hook in places.items():
        if not isinstance(hook, Mapping) or hook.get('type') not in _TEACHERS:
            continue
        for key in ('begin_epoch', 'begin_iter'):
            if hook.get(key):
                return f'{place}.{key}', hook[key]
    return None


def _missing_checkpoint(path: Any) -> str:
    """Only local paths can be looked at."""
    is_local = isinstance(path, str) and '://' not in path
    return path if is_local and not os.path.exists(path) else ''


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    """The configs among one or several, built objects left out."""
    items = value if isinstance(value, (list, tuple)) else [value]
    yield from (item for item in items if isinstance(item, Mapping))
