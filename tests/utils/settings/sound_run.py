"""Facts of a run without a mistake, to make one in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmgmp.utils.settings import (
    DataFacts,
    LoaderFacts,
    ModelFacts,
    RunFacts,
    ScheduleFacts,
)

CLASSES = ('walk', 'run')
DOMAINS = ('a', 'b', 'c')


def data(domains, split='train', each=4, **changes: Any) -> DataFacts:
    samples = tuple(
        (domain, label, f'{split}{label}{number}')
        for domain in domains
        for label in range(len(CLASSES))
        for number in range(each)
    )
    facts = DataFacts(
        tuple(domains), CLASSES, ('video', 'audio'), samples, DOMAINS, 'toy'
    )
    return replace(facts, **changes)


def loader(name, *datasets: DataFacts, **changes: Any) -> LoaderFacts:
    facts = LoaderFacts(
        f'{name}_dataloader',
        datasets,
        tuple(d for item in datasets for d in item.domains),
        (f'{"train" if name == "train" else "test"}.json',),
        sum(len(item.samples) for item in datasets),
        batch_size=8,
        drop_last=name == 'train',
        lists=('video', 'flow', 'audio'),
    )
    return replace(facts, **changes)


def run(**changes: Any) -> RunFacts:
    """Two sources, one target; keyword arguments replace parts."""
    facts = RunFacts(
        train=loader('train', data('ab')),
        val=loader('val', data('ab', 'test')),
        test=loader('test', data('c', 'test')),
        model=ModelFacts(
            ('video', 'audio'),
            (),
            {'model.cls_head.num_classes': 2},
            {'model.domain_head.num_domains': 2},
        ),
        schedule=ScheduleFacts(
            max_epochs=10,
            schedules=[('CosineAnnealingLR', 10, ())],
            teacher=('custom_hooks.2.begin_iter', 5),
            strategies=('optim_wrapper.modulation',),
            save_best=('acc/top1',),
            metrics=frozenset({'acc/top1', 'acc/top1_audio'}),
        ),
    )
    return replace(facts, **changes)


def model(**changes: Any) -> ModelFacts:
    sound = run().model
    assert sound is not None
    return replace(sound, **changes)


def schedule(**changes: Any) -> ScheduleFacts:
    return replace(run().schedule, **changes)
