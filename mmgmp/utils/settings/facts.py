"""What a run is about to do, as plain facts that rules can be applied to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ERROR, WARNING = 'error', 'warning'


@dataclass(frozen=True)
class Problem:
    """One setting that does not fit the data, the model or a checkpoint.

    Args:
        rule: Short name of the rule that is broken.
        text: The argument, the rule, what came, what to do.
        severity: ``'error'`` or ``'warning'``.

    Example:
        >>> str(Problem('batch', 'batch_size must be <= 14, got 16'))
        'error [batch]: batch_size must be <= 14, got 16'
    """

    rule: str
    text: str
    severity: str = ERROR

    def __str__(self) -> str:
        return f'{self.severity} [{self.rule}]: {self.text}'


@dataclass(frozen=True)
class DataFacts:
    """One dataset.

    Args:
        domains: Domains in label order.
        classes: Class names in label order.
        modalities: Modalities that are read.
        samples: Domain, label and id of each sample.
        known_domains: All domains that the annotation files name.
        corpus: Name of the corpus, ``''`` if it has none.
    """

    domains: tuple[str, ...]
    classes: tuple[str, ...]
    modalities: tuple[str, ...] = ()
    samples: tuple[tuple[str, int, str], ...] = ()
    known_domains: tuple[str, ...] = ()
    corpus: str = ''


@dataclass(frozen=True)
class LoaderFacts:
    """One data loader.

    Args:
        name: Its config key.
        data: Its datasets; empty for those without domains, and where the
            annotation could not be read.
        domains: Domains that the config asks for; None for all.
        ann_files: Annotation files that the config names.
        num_samples: Samples an epoch, repeated ones included.
        batch_size: None if a batch sampler decides.
        drop_last: Whether an incomplete last batch is left out.
        shuffle: Whether the order is drawn anew.
        num_ranks: Processes that share the samples.
        lists: Modalities that the pipeline has transforms for; None if it
            cannot be told.
        block_size: Samples of a block of domains by turns, where the sampler
            balances them; None otherwise.
        failure: Why the annotation could not be read, ``''`` if it could.
        is_missing: Whether that is because a file does not exist.
    """

    name: str
    data: tuple[DataFacts, ...] = ()
    domains: tuple[str, ...] | None = None
    ann_files: tuple[str, ...] = ()
    num_samples: int = 0
    batch_size: int | None = None
    drop_last: bool = False
    shuffle: bool = True
    num_ranks: int = 1
    lists: tuple[str, ...] | None = None
    block_size: int | None = None
    failure: str = ''
    is_missing: bool = False

    @property
    def is_known(self) -> bool:
        """Whether its samples are known."""
        return bool(self.data)

    @property
    def all_domains(self) -> tuple[str, ...]:
        """Domains of all datasets in label order, or else those asked for."""
        names = [name for data in self.data for name in data.domains]
        return tuple(dict.fromkeys(names or self.domains or ()))

    @property
    def counts(self) -> Counter[tuple[str, int]]:
        """Samples by domain and label."""
        return Counter(
            (domain, label)
            for data in self.data
            for domain, label, _ in data.samples
        )

    @property
    def ids(self) -> set[tuple[str, str, str]]:
        """Corpus, domain and id of all samples."""
        return {
            (data.corpus, domain, name)
            for data in self.data
            for domain, _, name in data.samples
        }

    @property
    def num_batches(self) -> int | None:
        """Batches of one rank and epoch; None if it cannot be told."""
        if not self.batch_size or not self.data:
            return None
        # MMEngine's samplers give every rank as many.
        share = -(-self.num_samples // self.num_ranks)
        if self.drop_last:
            return share // self.batch_size
        return -(-share // self.batch_size)


@dataclass(frozen=True)
class ModelFacts:
    """The recognizer.

    Args:
        modalities: In order.
        stand_ins: Modalities that need not be there at test time.
        num_classes: Number of classes by config key.
        num_domains: Number of source domains by config key, of the parts
            that tell domains apart.
    """

    modalities: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    num_classes: Mapping[str, int] = field(default_factory=dict)
    num_domains: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduleFacts:
    """Length, learning rate and selection of a training.

    Args:
        max_epochs: None for trainings that count iterations.
        schedules: Name, end and milestones of the learning rate schedules
            that count epochs; the end is None where it is that of training.
        teacher: Config key and value of the moment when averaging begins.
        strategies: Config keys of the gradient strategies.
        save_best: Metrics that select the checkpoint; ``'auto'`` is the first
            one.
        val_readers: Config keys of hooks that train by the validation data.
        metrics: Metrics that validation computes; None if it cannot be told.
    """

    max_epochs: int | None = None
    schedules: Sequence[tuple[str, int | None, Sequence[int]]] = ()
    teacher: tuple[str, int] | None = None
    strategies: tuple[str, ...] = ()
    save_best: tuple[str, ...] = ()
    val_readers: tuple[str, ...] = ()
    metrics: frozenset[str] | None = None


@dataclass(frozen=True)
class RunFacts:
    """All about a run.

    Args:
        train: Of training; None in a test.
        val: Of validation; None if there is none.
        test: Of the test; None if there is none.
        model: The recognizer; None if it has been built by hand.
        schedule: Of a training.
        foreign_domains: Test domains of a corpus that the model is not meant
            to know.
        is_open_set: Whether the target may have further classes.
        is_source: Whether the test is on purpose one of the source domains.
        is_oracle: Whether the target is trained on as well, on purpose.
        is_in_domain: Whether no domain is unseen, on purpose.
        topk: Largest k of an accuracy.
        missing_checkpoint: Path of a checkpoint that does not exist.
    """

    train: LoaderFacts | None = None
    val: LoaderFacts | None = None
    test: LoaderFacts | None = None
    model: ModelFacts | None = None
    schedule: ScheduleFacts = ScheduleFacts()
    foreign_domains: tuple[str, ...] = ()
    is_open_set: bool = False
    is_source: bool = False
    is_oracle: bool = False
    is_in_domain: bool = False
    topk: int = 1
    missing_checkpoint: str = ''

    @property
    def loaders(self) -> list[LoaderFacts]:
        """Those there are."""
        return [x for x in (self.train, self.val, self.test) if x is not None]

    @property
    def targets(self) -> tuple[str, ...]:
        """Test domains, without foreign ones."""
        if self.test is None:
            return ()
        return tuple(
            d for d in self.test.all_domains if d not in self.foreign_domains
        )
