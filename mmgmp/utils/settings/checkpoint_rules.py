"""What a checkpoint was trained on, and rules on using it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mmgmp.utils.settings.facts import WARNING, Problem, RunFacts

KEY = 'mmgmp_protocol'
# Counters of batch norm came with PyTorch 0.4; nothing computes with them.
_IGNORED = 'num_batches_tracked'


@dataclass(frozen=True)
class TrainedOn:
    """What a checkpoint was trained on.

    Args:
        sources: Source domains in label order.
        classes: Class names in label order.
        modalities: Modalities of the model in order; empty if not known.
        corpus: Name of the corpus.
        seen: Domains that went into the weights: the sources, and those of
            the checkpoint that training started from.
        oracle: Targets that were trained on as an upper bound.
        in_domain: Domains that were trained on to be tested on other clips
            of their own.
    """

    sources: tuple[str, ...]
    classes: tuple[str, ...]
    modalities: tuple[str, ...] = ()
    corpus: str = ''
    seen: tuple[str, ...] = ()
    oracle: tuple[str, ...] = ()
    in_domain: tuple[str, ...] = ()

    def as_meta(self) -> dict[str, Any]:
        """Return plain lists and words, to be stored."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_facts(cls, facts: RunFacts) -> TrainedOn | None:
        """Say what a training that is about to start trains on.

        Args:
            facts: Of the run.

        Returns:
            None if its data have no domains.
        """
        train = facts.train
        if train is None or not train.is_known:
            return None
        modalities = facts.model.modalities if facts.model else ()
        tested = [name for name in train.all_domains if name in facts.targets]
        return cls(
            train.all_domains,
            train.data[0].classes,
            modalities,
            train.data[0].corpus,
            train.all_domains,
            tuple(tested if facts.is_oracle else ()),
            tuple(tested if facts.is_in_domain else ()),
        )

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> TrainedOn | None:
        """Read what a checkpoint says.

        Args:
            meta: Its ``meta``. Without an entry of ours, what MMEngine notes
                of the dataset is taken.

        Returns:
            None if it says nothing.

        Raises:
            ValueError: If it says something else than lists of names.

        Example:
            >>> old = dict(dataset_meta=dict(domains=['a'], classes=['x']))
            >>> TrainedOn.from_meta(old).seen
            ('a',)
        """
        own = meta.get(KEY)
        if own is None:
            old = _mapping(meta.get('dataset_meta') or {}, 'dataset_meta')
            if not old.get('domains') or not old.get('classes'):
                return None
            domains = _names(old, 'domains')
            classes = _names(old, 'classes')
            corpus = str(old.get('corpus', ''))
            return cls(domains, classes, (), corpus, domains)
        own = _mapping(own, KEY)
        return cls(
            _names(own, 'sources'),
            _names(own, 'classes'),
            _names(own, 'modalities'),
            str(own.get('corpus', '')),
            _names(own, 'seen'),
            # Older ones do not know these.
            _names({'oracle': [], **own}, 'oracle'),
            _names({'in_domain': [], **own}, 'in_domain'),
        )

    def seen_of(self, corpus: str) -> tuple[str, ...]:
        """Return the domains of a corpus that went into the weights."""
        is_other = corpus and self.corpus and corpus != self.corpus
        return () if is_other else self.seen


def check_tested(trained: TrainedOn, facts: RunFacts) -> Iterator[Problem]:
    """Apply the rules on testing a checkpoint.

    Args:
        trained: What it was trained on.
        facts: Of the test.

    Yields:
        What is wrong.
    """
    is_source = facts.is_source or facts.is_in_domain
    yield from (_check_source if is_source else check_target)(trained, facts)
    yield from _check_oracle(trained, facts)
    if facts.test is None:
        return
    for data in facts.test.data:
        if set(data.domains) <= set(facts.foreign_domains):
            continue
        classes = data.classes
        if facts.is_open_set:
            classes = classes[: len(trained.classes)]
        if classes != trained.classes:
            yield Problem(
                'checkpoint-classes',
                'test_dataloader.dataset must have the classes that the '
                f'checkpoint was trained on, {list(trained.classes)} in '
                f'this order, got {list(classes)}; test on that corpus',
            )
    yield from _check_modalities(trained, facts)


def check_target(trained: TrainedOn, facts: RunFacts) -> Iterator[Problem]:
    """Refuse targets that went into the weights of a checkpoint.

    Args:
        trained: What it was trained on.
        facts: Of the run that loads it.

    Yields:
        What is wrong.
    """
    if facts.is_in_domain:
        return  # there is none that must be unseen
    seen = _seen(trained, facts)
    wrong = [d for d in facts.targets if d in seen]
    if wrong and facts.is_oracle:
        yield Problem(
            'checkpoint-target',
            f'the target {wrong} is in the weights of this checkpoint, as '
            'protocol.oracle=True says: an upper bound, and no result of '
            'domain generalisation',
            WARNING,
        )
    elif wrong:
        advice = 'set default_hooks.settings.allow_seen_target=True'
        if set(wrong) <= set(trained.oracle):
            advice = 'say that it is an oracle with protocol.oracle=True'
        elif set(wrong) <= set(trained.in_domain):
            advice = (
                'say that no domain is unseen with protocol.in_domain=True '
                'protocol.target=None'
            )
        yield Problem(
            'checkpoint-target',
            f'test_dataloader.dataset.domains={list(facts.targets)}: {wrong} '
            'was among the source domains of this checkpoint '
            f'{list(trained.seen)}, so it is no unseen target; test another '
            f'domain, or {advice}',
        )


def _seen(trained: TrainedOn, facts: RunFacts) -> set[str]:
    """Domains of the tested corpora that went into the weights."""
    test = facts.test
    corpora = {d.corpus for d in test.data} if test and test.data else {''}
    return {d for corpus in corpora for d in trained.seen_of(corpus)}


def _check_oracle(trained: TrainedOn, facts: RunFacts) -> Iterator[Problem]:
    unseen = [d for d in facts.targets if d not in _seen(trained, facts)]
    if facts.is_oracle and unseen:
        yield Problem(
            'checkpoint-target',
            'protocol.oracle=True must test a checkpoint that was trained on '
            f'the target {unseen}, got one of {list(trained.seen)}; leave '
            'protocol.oracle out, and the target is unseen',
        )


def _check_source(trained: TrainedOn, facts: RunFacts) -> Iterator[Problem]:
    wrong = [d for d in facts.targets if d not in trained.sources]
    if wrong:
        yield Problem(
            'checkpoint-source',
            f'protocol.{"measure=source" if facts.is_source else "in_domain"} '
            f'must test source domains of the checkpoint, '
            f'{list(trained.sources)}, got {list(facts.targets)}; set the '
            'protocol.target, or protocol.sources, that it was trained with',
        )
    elif facts.is_in_domain:
        yield Problem(
            'checkpoint-target',
            f'the tested domains {list(facts.targets)} are in the weights of '
            'this checkpoint, as protocol.in_domain=True says: no domain is '
            'unseen, and this is no result of domain generalisation',
            WARNING,
        )


def check_resumed(trained: TrainedOn, now: TrainedOn) -> Iterator[Problem]:
    """Refuse to continue a training on something else.

    Args:
        trained: What the checkpoint was trained on.
        now: What the run would train on.

    Yields:
        What is wrong.
    """
    for name, before, after in (
        ('source domains', trained.sources, now.sources),
        ('classes', trained.classes, now.classes),
        ('modalities', trained.modalities, now.modalities),
    ):
        if before and after and before != after:
            yield Problem(
                'checkpoint-resume',
                f'resume must keep the {name} of the checkpoint, '
                f'{list(before)} in this order, got {list(after)}; restore '
                'them, or start from its weights with load_from',
            )


def check_weights(
    model: Mapping[str, Sequence[int]],
    stored: Mapping[str, Sequence[int]],
    severity: str,
) -> Iterator[Problem]:
    """Compare the shapes of a model's weights with those in a checkpoint.

    Args:
        model: Shape by name.
        stored: Shape by name.
        severity: Of what does not fit.

    Yields:
        At most one problem.

    Example:
        >>> list(check_weights({'a': (2,)}, {'a': (2,)}, 'error'))
        []
    """
    parts = {
        'it lacks': [n for n in model if n not in stored],
        'the model has no': [n for n in stored if n not in model],
        'another shape': [
            f'{n} ({tuple(stored[n])} instead of {tuple(model[n])})'
            for n in model
            if n in stored and tuple(model[n]) != tuple(stored[n])
        ],
    }
    texts = [
        f'{what} {", ".join(names[:3])}'
        + (f' and {len(names) - 3} more' if len(names) > 3 else '')
        for what, found in parts.items()
        if (names := [n for n in found if _IGNORED not in n])
    ]
    if texts:
        yield Problem(
            'checkpoint-weights',
            'the weights of the checkpoint must be those of the model, got '
            f'{"; ".join(texts)}; name the config that it was trained with',
            severity,
        )


def _check_modalities(
    trained: TrainedOn, facts: RunFacts
) -> Iterator[Problem]:
    now = facts.model.modalities if facts.model else ()
    if now and trained.modalities and now != trained.modalities:
        yield Problem(
            'checkpoint-modalities',
            f'model.encoders must be {list(trained.modalities)} in this '
            f'order, as in the checkpoint, got {list(now)}; name the config '
            'that it was trained with',
        )


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Others write checkpoints, too, and may put anything here."""
    if not isinstance(value, Mapping):
        raise ValueError(
            f'meta[{key!r}] of the checkpoint must be a mapping, got '
            f'{type(value).__name__}; is it a checkpoint of a training?'
        )
    return value


def _names(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = values.get(key)
    is_list = isinstance(names, (list, tuple))
    if not is_list or not all(isinstance(name, str) for name in names or ()):
        raise ValueError(
            f'{key!r} in the meta of the checkpoint must be a list of names, '
            f'got {names!r:.100}; is it a checkpoint of a training?'
        )
    return tuple(names or ())
