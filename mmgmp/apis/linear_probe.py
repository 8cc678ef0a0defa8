"""Linear probes: what each encoder of a trained model has learned."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmgmp.apis.analysis import Features, extract_features
from mmgmp.engine.settings import gather_facts
from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.protocol import resolve_protocol
from mmgmp.utils.settings import (
    RunFacts,
    TrainedOn,
    check_run,
    check_tested,
    refuse,
)

#: Inverse strengths of the L2 penalty that source validation chooses among.
CHOICES = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
_SPLITS = ('train', 'val', 'test')
#: Not the plain target in the place of the test.
_OTHER_TESTS = ('source', 'open_set', 'out_of_distribution')
_NO_TARGET = ('oracle', 'in_domain', 'corruption', 'missing')


@dataclass(frozen=True)
class Probe:
    """A linear classifier on the features of one modality, or the fused one.

    Args:
        width: Of the feature.
        strength: C of the logistic regression, chosen on source validation.
        train: Top-1 accuracy on the source clips that it was fitted to.
        source: On the source domains' validation clips, which chose C.
        target: On the unseen target.
    """

    width: int
    strength: float
    train: float
    source: float
    target: float


def probe_checkpoint(
    config: Config, checkpoint: str | Path, device: str = 'cpu'
) -> tuple[Features, dict[str, Probe]]:
    """Extract the features of a trained model, and probe them.

    The model is in eval mode; all clips come from the files, through the
    pipeline of the validation, also where it was trained from a cache.

    Args:
        config: Training config, with a protocol or written out.
        checkpoint: File that it wrote.
        device: Torch device of the model.

    Returns:
        The features of all three splits, and a probe by name: each modality
        and ``'fused'``.

    Raises:
        ValueError: If the checkpoint was trained on other domains, on the
            target, or is of another model; or the test is not the plain
            target.
    """
    config = Config(config.to_dict(), filename=config.filename)
    if config.get('protocol') is not None:
        config['protocol']['cache'] = None
    config = resolve_protocol(config)
    _check_protocol(config.get('protocol') or {})
    _check(config, checkpoint)
    features = extract_features(config, checkpoint, _SPLITS, device)
    return features, fit_probes(features)


def fit_probes(
    features: Features, choices: Sequence[float] = CHOICES
) -> dict[str, Probe]:
    """Fit one logistic regression per feature, on the source domains alone.

    Features are standardised by the training clips. C is the one that is best
    on source validation, of equally good ones the smallest; labels of the
    target are looked at last, to count.

    Args:
        features: With the splits ``'train'``, ``'val'`` and ``'test'``.
        choices: Values of C, each > 0.

    Raises:
        ValueError: If a split is empty, a target domain is in the training or
            validation, a feature is not finite, or ``choices`` are no list of
            positive numbers.

    Example:
        >>> x = np.array([[-1.], [1.]] * 3, dtype=np.float32)
        >>> splits = ['train'] * 2 + ['val'] * 2 + ['test'] * 2
        >>> found = fit_probes(Features({'audio': x}, np.array([0, 1] * 3),
        ...     ['a'] * 4 + ['b'] * 2, ['x', 'y'], ['b'], splits))
        >>> found['audio'].strength, found['audio'].target
        (0.0001, 1.0)

    Source: the protocol of linear probing (Alain and Bengio, arXiv
    1610.01644); standardisation and the choice of C are choices of this
    project.
    """
    if not choices or not all(c > 0 for c in choices):
        raise ValueError(
            f'choices must be one or more numbers > 0, got {choices}'
        )
    rows = {
        name: np.array([split == name for split in features.splits])
        for name in _SPLITS
    }
    _check_rows(features, rows)
    return {
        name: _fit(name, values, features.labels, rows, sorted(choices))
        for name, values in features.values.items()
    }


def _fit(
    name: str,
    values: NDArray[np.float32],
    labels: NDArray[np.int_],
    rows: Mapping[str, NDArray[np.bool_]],
    choices: Sequence[float],
) -> Probe:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not np.isfinite(values).all():
        raise ValueError(
            f'features of {name} must be finite, got NaN or infinite ones; '
            'the training diverged, take another checkpoint'
        )
    # In float64: so near to the optimum float32 has nothing left to say.
    x = values.astype(np.float64)
    train, val = rows['train'], rows['val']
    fitted = [
        make_pipeline(
            StandardScaler(), LogisticRegression(C=c, max_iter=5000)
        ).fit(x[train], labels[train])
        for c in choices
    ]
    found = [float(p.score(x[val], labels[val])) for p in fitted]
    best = int(np.argmax(found))
    accuracies = {
        split: float(fitted[best].score(x[where], labels[where]))
        for split, where in rows.items()
    }
    return Probe(
        values.shape[1],
        choices[best],
        accuracies['train'],
        accuracies['val'],
        accuracies['test'],
    )


def _check_rows(
    features: Features, rows: Mapping[str, NDArray[np.bool_]]
) -> None:
    empty = [name for name, where in rows.items() if not where.any()]
    if empty:
        raise ValueError(
            f'features must be of the splits {list(_SPLITS)}, got none of '
            f'{empty}; extract all three'
        )
    domains = np.array(features.domains)
    known = {*domains[rows['train'] | rows['val']].tolist()}
    seen = sorted(known & {*domains[rows['test']].tolist()})
    if seen:
        raise ValueError(
            f'the target must not be fitted to, got {seen} among the sources; '
            'change protocol.target'
        )
    if len({*features.labels[rows['train']].tolist()}) < 2:
        raise ValueError(
            'training clips must be of two classes or more, got one; take '
            'more of them'
        )


def _check_protocol(protocol: Mapping[str, Any]) -> None:
    wrong = {
        f'protocol.{key}': protocol[key] for key in _NO_TARGET
        if protocol.get(key)
    }  # fmt: skip
    if protocol.get('measure') in _OTHER_TESTS:
        wrong['protocol.measure'] = protocol['measure']
    if wrong:
        raise ValueError(
            'a probe is fitted to the sources and tested on an unseen target '
            f'as it is, got {wrong}; leave that out'
        )


def _check(config: Config, checkpoint: str | Path) -> None:
    """Refuse a checkpoint that is not of these sources and this target."""
    meta: Any = read_checkpoint(checkpoint).get('meta') or {}
    # Its weights replace those that training started from.
    facts = gather_facts({**config, 'load_from': None})
    problems = check_run(facts)
    trained = TrainedOn.from_meta(meta)
    if trained is None:
        print_log(
            f'{checkpoint} does not say which domains it was trained on, so '
            f'it cannot be seen whether {list(facts.targets)} is unseen',
            logger='current',
            level=logging.WARNING,
        )
    else:
        problems += check_tested(trained, facts)
    refuse(problems)
    if trained is not None:
        _check_sources(trained, facts)


def _check_sources(trained: TrainedOn, facts: RunFacts) -> None:
    sources = facts.train.all_domains if facts.train else ()
    if {*sources} != {*trained.sources}:
        raise ValueError(
            'train_dataloader must have the source domains of the '
            f'checkpoint, {list(trained.sources)}, got {list(sources)}; set '
            'protocol.sources'
        )
