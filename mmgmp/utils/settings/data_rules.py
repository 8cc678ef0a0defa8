"""Rules on domains, classes and samples of the three data loaders."""

from __future__ import annotations

import os.path
from collections import Counter
from collections.abc import Iterator, Sequence

from mmgmp.utils.settings.batch_rules import check_batches
from mmgmp.utils.settings.facts import (
    ERROR,
    WARNING,
    DataFacts,
    LoaderFacts,
    Problem,
    RunFacts,
)


def check_loaders(facts: RunFacts) -> Iterator[Problem]:
    """Apply the rules that concern one data loader.

    Args:
        facts: Of the run.

    Yields:
        What is wrong.
    """
    for loader in facts.loaders:
        yield from _check_readable(facts, loader)
        yield from _check_domain_list(loader)
        if loader.is_known:
            yield from _check_empty(facts, loader)
            yield from _check_lists(loader)
    if facts.train is not None and facts.train.is_known:
        yield from check_batches(facts.train)
        yield from _check_classes_filled(facts.train)
    for evaluated in (facts.val, facts.test):
        if evaluated is not None and evaluated.drop_last:
            yield Problem(
                'drop-last',
                f'{evaluated.name}.drop_last must be False, got True: the '
                'last samples would never be evaluated; remove it',
            )


def check_protocol(facts: RunFacts) -> Iterator[Problem]:
    """Apply the rules on what is trained, selected and tested on.

    Args:
        facts: Of the run.

    Yields:
        What is wrong.
    """
    if facts.train is None or not facts.train.all_domains:
        return
    sources = facts.train.all_domains
    seen = [d for d in facts.targets if d in sources]
    if seen and _share_corpus(facts.train, facts.test):
        yield _seen_target(facts, sources, seen)
    if facts.is_oracle:
        # It may be trained on, and still selects nothing.
        sources = tuple(d for d in sources if d not in facts.targets)
    if facts.val is not None:
        yield from _check_selection(facts, facts.val, sources)
    if facts.is_in_domain:
        yield from _check_tested_selection(facts)
    for loader in (facts.val, facts.test):
        if loader is not None:
            yield from _check_classes(facts, facts.train, loader)
            yield from _check_overlap(facts, facts.train, loader)


def _seen_target(
    facts: RunFacts, sources: Sequence[str], seen: Sequence[str]
) -> Problem:
    rule = 'target-among-sources'
    if facts.is_oracle:
        return Problem(
            rule,
            f'protocol.oracle=True trains on the target {list(seen)}, too: '
            'an upper bound, and no result of domain generalisation',
            WARNING,
        )
    if facts.is_in_domain:
        return Problem(
            rule,
            f'protocol.in_domain=True tests the domains {list(seen)}, which '
            'are trained on, on other clips: no domain is unseen, and this '
            'is no result of domain generalisation',
            WARNING,
        )
    return Problem(
        rule,
        'test_dataloader.dataset.domains must not be among the source '
        f'domains of train_dataloader {list(sources)}, got {list(seen)}: an '
        'unseen domain would have been trained on; change one of the two, '
        'or set protocol.oracle=True for an upper bound that says so, '
        'protocol.in_domain=True where no domain is unseen',
    )


def _check_readable(facts: RunFacts, loader: LoaderFacts) -> Iterator[Problem]:
    if not loader.failure:
        return
    is_later = loader is facts.test and facts.train is not None
    if not (is_later and loader.is_missing):
        yield Problem('annotation', f'{loader.name}.dataset: {loader.failure}')
        return
    yield Problem(
        'annotation',
        f'{loader.name}.dataset could not be checked and cannot be tested '
        f'on: {loader.failure}',
        WARNING,
    )
    unknown, known = _unknown_domains(facts, loader)
    if unknown:
        yield Problem(
            'domains',
            f'{loader.name}.dataset.domains must name domains of the corpus, '
            f'got {unknown}; it has {known}',
        )


def _unknown_domains(
    facts: RunFacts, loader: LoaderFacts
) -> tuple[list[str], list[str]]:
    """Compare with what files of the same names say in other loaders."""
    names = {os.path.basename(path) for path in loader.ann_files}
    for other in (facts.train, facts.val):
        if other is None or not other.is_known:
            continue
        if names & {os.path.basename(path) for path in other.ann_files}:
            known = [n for d in other.data for n in d.known_domains]
            wanted = loader.domains or ()
            return [d for d in wanted if d not in known], known
    return [], []


def _check_domain_list(loader: LoaderFacts) -> Iterator[Problem]:
    # Where the annotation could be read, the dataset has said so.
    repeated = [d for d, n in Counter(loader.domains).items() if n > 1]
    if repeated and loader.is_missing:
        yield Problem(
            'domains',
            f'{loader.name}.dataset.domains must name every domain once, got '
            f'{list(loader.domains or ())}; remove the second {repeated}',
        )


def _check_empty(facts: RunFacts, loader: LoaderFacts) -> Iterator[Problem]:
    found = {domain for domain, _ in loader.counts}
    empty = [d for d in loader.all_domains if d not in found]
    if empty:
        yield Problem(
            'empty-domain',
            f'{loader.name}.dataset must have samples of every domain that '
            f'it names, got none of {empty}; look at its skip_list and '
            'indices',
            WARNING if loader is facts.val else ERROR,
        )


def _check_lists(loader: LoaderFacts) -> Iterator[Problem]:
    if loader.lists is None:
        return
    wanted = dict.fromkeys(m for d in loader.data for m in d.modalities)
    bare = [m for m in wanted if m not in loader.lists]
    if bare:
        yield Problem(
            'pipeline',
            f'{loader.name}.dataset.pipeline must have a list of transforms '
            f'for every one of dataset.modalities, got none for {bare}; it '
            f'has {list(loader.lists)}',
        )


def _check_classes_filled(train: LoaderFacts) -> Iterator[Problem]:
    counts, classes = train.counts, train.data[0].classes
    domains = train.all_domains
    none = [
        name
        for label, name in enumerate(classes)
        if not any(counts[domain, label] for domain in domains)
    ]
    if none:
        yield Problem(
            'empty-class',
            f'train_dataloader.dataset has no sample of the classes {none}: '
            'they cannot be learned',
            WARNING,
        )
    cells = [
        f'{domain}/{name}'
        for domain in domains
        for label, name in enumerate(classes)
        if name not in none and not counts[domain, label]
    ]
    if cells:
        yield Problem(
            'empty-class',
            'train_dataloader.dataset has no sample of these domains and '
            f'classes: {_first(cells)}; class and domain can be told apart '
            'by each other there',
            WARNING,
        )


def _check_selection(
    facts: RunFacts, val: LoaderFacts, sources: Sequence[str]
) -> Iterator[Problem]:
    chosen = val.all_domains
    foreign = [d for d in chosen if d not in sources]
    on_target = [d for d in foreign if d in facts.targets]
    if foreign:
        leak = ': the target would select the checkpoint' if on_target else ''
        yield Problem(
            'selection',
            'val_dataloader.dataset.domains must be source domains '
            f'{list(sources)}, got {foreign} besides{leak}; correct it, or '
            'set default_hooks.settings.allow_seen_target=True',
        )
        return
    if chosen and tuple(chosen) != tuple(sources):
        yield Problem(
            'selection',
            'val_dataloader.dataset.domains should be those of '
            f'train_dataloader in their order {list(sources)}, got '
            f'{list(chosen)}: '
            + (
                'domain labels differ'
                if set(chosen) == set(sources)
                else 'only a part of the sources selects the checkpoint'
            ),
            WARNING,
        )


def _check_tested_selection(facts: RunFacts) -> Iterator[Problem]:
    val, test = facts.val, facts.test
    if val is None or test is None:
        return
    common = val.ids & test.ids
    if common and facts.schedule.val_readers:
        yield Problem(
            'selection',
            f'{list(facts.schedule.val_readers)} train by the validation '
            f'data, and {len(common)} of them are among the {len(test.ids)} '
            'tested clips: hold out clips of the training split for '
            'val_dataloader, or leave these hooks out',
        )
    if common and facts.schedule.save_best:
        yield Problem(
            'selection',
            f'default_hooks.checkpoint.save_best={facts.schedule.save_best} '
            f'selects on {len(common)} of the {len(test.ids)} tested clips, '
            'so that the test is too good; hold out clips of the training '
            'split for val_dataloader, or set save_best=None and test the '
            'last epoch',
            WARNING,
        )


def _check_classes(
    facts: RunFacts, train: LoaderFacts, loader: LoaderFacts
) -> Iterator[Problem]:
    if not train.is_known:
        return
    own = train.data[0]
    for data in loader.data:
        if set(data.domains) <= set(facts.foreign_domains):
            continue
        is_open = facts.is_open_set and loader is facts.test
        found = data.classes[: len(own.classes)] if is_open else data.classes
        if found != own.classes:
            yield Problem(
                'classes',
                f'{loader.name}.dataset must have the classes of '
                f'train_dataloader in their order, {_difference(own, data)}; '
                'write the annotation files with the same list of classes',
            )
        elif data.corpus != own.corpus:
            yield Problem(
                'corpus',
                f'{loader.name}.dataset is of the corpus {data.corpus!r}, '
                f'train_dataloader of {own.corpus!r}',
                WARNING,
            )


def _difference(own: DataFacts, data: DataFacts) -> str:
    if set(own.classes) == set(data.classes):
        place = next(
            i
            for i, (a, b) in enumerate(
                zip(own.classes, data.classes, strict=True)
            )
            if a != b
        )
        return (
            f'got another order from label {place} on: '
            f'{data.classes[place]!r} instead of {own.classes[place]!r}'
        )
    more = [c for c in data.classes if c not in own.classes]
    less = [c for c in own.classes if c not in data.classes]
    return f'got {_first(more)} besides and not {_first(less)}'


def _check_overlap(
    facts: RunFacts, train: LoaderFacts, loader: LoaderFacts
) -> Iterator[Problem]:
    common = train.ids & loader.ids
    if common:
        # A few are a flaw of the corpus, many are the wrong file. Of a target
        # that is a source, and not named as one, another rule has spoken.
        is_named = facts.is_oracle or facts.is_in_domain
        is_told = loader is facts.test and not is_named
        is_source = set(loader.all_domains) <= set(train.all_domains)
        is_wrong_file = len(common) * 2 > len(loader.ids) and not (
            is_source and is_told
        )
        yield Problem(
            'overlap',
            f'{loader.name}.dataset must not hold training samples, got '
            f'{len(common)} of {len(loader.ids)}, such as '
            f'{min(name for _, _, name in common)!r}; name the annotation '
            'file of the held-out split',
            ERROR if is_wrong_file else WARNING,
        )


def _share_corpus(a: LoaderFacts | None, b: LoaderFacts | None) -> bool:
    """Whether equal domain names mean the same domain."""
    if a is None or b is None or not a.is_known or not b.is_known:
        return True
    return bool({d.corpus for d in a.data} & {d.corpus for d in b.data})


def _first(names: Sequence[str], limit: int = 8) -> str:
    more = len(names) - limit
    return f'{list(names[:limit])}' + (f' and {more} more' if more > 0 else '')
