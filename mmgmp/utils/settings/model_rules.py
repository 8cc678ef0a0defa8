"""Rules on the model and its schedule, against the data."""

from __future__ import annotations

from collections.abc import Iterator

from mmgmp.utils.settings.facts import (
    WARNING,
    LoaderFacts,
    ModelFacts,
    Problem,
    RunFacts,
    ScheduleFacts,
)


def check_model(facts: RunFacts) -> Iterator[Problem]:
    """Apply the rules on numbers of outputs and on modalities.

    Args:
        facts: Of the run.

    Yields:
        What is wrong.
    """
    model = facts.model
    if model is None:
        return
    if facts.train is not None and facts.train.is_known:
        yield from _check_domains(model, facts.train)
    yield from _check_classes(facts, model)
    for loader in facts.loaders:
        if not loader.is_known:
            continue
        is_test = loader is facts.test
        needed = [
            m
            for m in model.modalities
            if not (is_test and m in model.stand_ins)
        ]
        for data in loader.data:
            missing = [m for m in needed if m not in data.modalities]
            if missing:
                yield Problem(
                    'modalities',
                    f'{loader.name}.dataset.modalities must have the '
                    f"model's {list(model.modalities)}, got "
                    f'{list(data.modalities)}, without {missing}; add them, '
                    'or drop the encoders',
                )
    smallest = min(model.num_classes.values(), default=facts.topk)
    if facts.topk > smallest:
        yield Problem(
            'topk',
            f'topk of an evaluator must be <= {smallest}, the number of '
            f'classes, got {facts.topk}; every prediction would be right',
        )


def check_schedule(facts: RunFacts) -> Iterator[Problem]:
    """Apply the rules on the course of a training.

    Args:
        facts: Of the run.

    Yields:
        What is wrong.
    """
    schedule, model = facts.schedule, facts.model
    if facts.train is None:
        return
    yield from _check_save_best(facts, schedule)
    if schedule.max_epochs is not None:
        yield from _check_ends(schedule, schedule.max_epochs)
        yield from _check_teacher(facts.train, schedule, schedule.max_epochs)
    if schedule.strategies and model and len(model.modalities) == 1:
        yield Problem(
            'strategy',
            f'{" and ".join(schedule.strategies)} balance modalities, got '
            f'one, {model.modalities[0]}: every ratio is 1; set them to '
            'None, or add a modality',
            WARNING,
        )


def _check_domains(model: ModelFacts, train: LoaderFacts) -> Iterator[Problem]:
    domains = train.all_domains
    wrong = {
        key: number
        for key, number in model.num_domains.items()
        if number != len(domains)
    }
    heads = [k for k, number in model.num_domains.items() if number > 1]
    if len(domains) == 1 and heads:
        yield Problem(
            'one-domain',
            f'{", ".join(heads)}: a domain discriminator needs at least two '
            f'source domains, train_dataloader.dataset.domains has one, '
            f'{list(domains)}; set model.domain_head=None, or 1 as the '
            'num_domains of a method',
        )
    elif wrong:
        yield Problem(
            'num-domains',
            f'{_keys(wrong)}: num_domains must be {len(domains)}, the number '
            f'of source domains {list(domains)} of train_dataloader',
        )


def _check_classes(facts: RunFacts, model: ModelFacts) -> Iterator[Problem]:
    loader = facts.train or facts.test
    if loader is None or not loader.is_known:
        return
    own = [
        data
        for data in loader.data
        if not set(data.domains) <= set(facts.foreign_domains)
    ]
    if not own or (loader is facts.test and facts.is_open_set):
        return
    expected = len(own[0].classes)
    wrong = {k: n for k, n in model.num_classes.items() if n != expected}
    if wrong:
        yield Problem(
            'num-classes',
            f'{_keys(wrong)}: num_classes must be {expected}, the number of '
            f'classes of {loader.name}',
        )


def _keys(values: dict[str, int]) -> str:
    return ', '.join(f'{key}={number}' for key, number in values.items())


def _check_save_best(
    facts: RunFacts, schedule: ScheduleFacts
) -> Iterator[Problem]:
    if facts.val is None or schedule.metrics is None:
        return
    known = {'auto', *schedule.metrics}
    unknown = [k for k in schedule.save_best if k not in known]
    if unknown:
        yield Problem(
            'save-best',
            'default_hooks.checkpoint.save_best must be a metric of '
            f'val_evaluator, got {unknown}; it computes '
            f'{sorted(schedule.metrics)}',
        )


def _check_ends(schedule: ScheduleFacts, epochs: int) -> Iterator[Problem]:
    for name, end, milestones in schedule.schedules:
        late = [m for m in milestones if m >= epochs]
        if late or (end is not None and end > epochs):
            what = f'milestones {late}' if late else f'end={end}'
            yield Problem(
                'schedule',
                f'param_scheduler {name} has {what}, beyond '
                f'train_cfg.max_epochs={epochs}: it is cut off before it is '
                'done',
                WARNING,
            )
    ends = [epochs if end is None else end for _, end, _ in schedule.schedules]
    if ends and max(ends) < epochs:
        yield Problem(
            'schedule',
            f'param_scheduler ends at epoch {max(ends)}, before '
            f'train_cfg.max_epochs={epochs}: the learning rate stays what it '
            'is then',
            WARNING,
        )


def _check_teacher(
    train: LoaderFacts, schedule: ScheduleFacts, epochs: int
) -> Iterator[Problem]:
    if schedule.teacher is None:
        return
    key, begin = schedule.teacher
    batches = train.num_batches
    last = epochs if key.endswith('epoch') else epochs * (batches or 0)
    if last and begin > last:
        yield Problem(
            'teacher',
            f'{key} must be <= {last}, the length of the training, got '
            f'{begin}: nothing would be averaged or taught; lower it or '
            'train longer',
            WARNING,
        )
