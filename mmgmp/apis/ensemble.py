"""The mean of what networks say that were trained apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmgmp.apis.predictions import Predictions
from mmgmp.evaluation.metrics import AudioVisualAccuracy
from mmgmp.utils.checks import check_choice

SPACES = ('probability', 'logit')
#: Steps of the grid of weights.
_STEPS = 10
_Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """The predictions of several members on the samples that all have.

    Args:
        labels: True classes, ``(N,)``.
        domains: Domain of each sample.
        scores: Class probabilities, ``(M, N, K)``.
        left_out: By member, how many of its samples another one lacks.
        branches: Place of the member by modality, of those with a single
            modality.
    """

    labels: NDArray[np.int_]
    domains: Sequence[str]
    scores: _Scores
    left_out: Mapping[str, int]
    branches: Mapping[str, int]


def align(members: Mapping[str, Predictions]) -> Aligned:
    """Bring predictions into one order, by sample id.

    Args:
        members: Predictions by name, two or more.

    Returns:
        The samples that all members have, in the order of the first.

    Raises:
        ValueError: If there is one member only, samples have no ids or share
            them, members differ in labels or number of classes, or have no
            sample in common.
    """
    if len(members) < 2:
        raise ValueError(
            f'an ensemble must have two members or more, got {list(members)}; '
            'name the predictions of several networks'
        )
    places = {name: _places(name, p) for name, p in members.items()}
    common = set.intersection(*map(set, places.values()))
    first = next(iter(members))
    ids = [i for i in places[first] if i in common]
    if not ids:
        raise ValueError(
            f'the members {list(members)} must have samples in common, got '
            'none; take predictions on one and the same data'
        )
    rows = {name: [places[name][i] for i in ids] for name in members}
    sizes = {name: p.scores.shape[1] for name, p in members.items()}
    labels = {name: p.labels[rows[name]] for name, p in members.items()}
    wrong = [n for n in members if (labels[n] != labels[first]).any()]
    if wrong or len(set(sizes.values())) > 1:
        raise ValueError(
            'the members must agree in the labels of their samples and the '
            f'number of classes, got other labels in {wrong} than in {first}, '
            f'and classes {sizes}; take predictions of one corpus'
        )
    domains = members[first].domains
    return Aligned(
        labels[first],
        [domains[row] for row in rows[first]],
        np.stack([p.scores[rows[name]] for name, p in members.items()]),
        {name: len(places[name]) - len(ids) for name in members},
        _branches(members),
    )


def _places(name: str, predictions: Predictions) -> dict[str, int]:
    places = {i: number for number, i in enumerate(predictions.ids)}
    if '' in places or len(places) < len(predictions.labels):
        raise ValueError(
            f'{name} must name each sample by its sample_id, got '
            f'{len(places)} names of {len(predictions.labels)} samples; keep '
            'sample_id among meta_keys of PackMultiModalInputs'
        )
    return places


def _branches(members: Mapping[str, Predictions]) -> dict[str, int]:
    """Members that are one branch each, if no other is the same."""
    single = {
        number: p.modalities[0]
        for number, p in enumerate(members.values())
        if len(p.modalities) == 1
    }
    counts = Counter(single.values())
    return {m: n for n, m in single.items() if counts[m] == 1}


def combine(
    scores: _Scores,
    weights: Sequence[float] | None = None,
    space: str = 'probability',
) -> _Scores:
    """Average what the members say.

    Args:
        scores: Class probabilities, ``(M, N, K)``.
        weights: Of the members, >= 0 and not all 0, made to sum to 1; None
            weighs all alike.
        space: ``'probability'`` averages probabilities, ``'logit'`` logits:
            of a probability they are its logarithm but for a constant, which
            the softmax takes out again.

    Returns:
        Class probabilities, ``(N, K)``.

    Raises:
        ValueError: If the weights or the space cannot be used.

    Example:
        >>> combine(np.array([[[0.7, 0.3]], [[0.4, 0.6]]])).round(2).tolist()
        [[0.55, 0.45]]

    Source: Du et al., "On Uni-Modal Feature Learning in Supervised
    Multi-Modal Learning", ICML 2023, uni-modal ensemble; ``'logit'`` is a
    choice of this project.
    """
    check_choice('space', space, SPACES)
    given = np.ones(len(scores)) if weights is None else np.array(weights)
    is_met = given.shape == (len(scores),) and np.isfinite(given).all()
    if not is_met or given.min() < 0 or not given.sum():
        raise ValueError(
            f'weights must be {len(scores)} numbers >= 0, not all 0, got '
            f'{weights}; give one per member'
        )
    shares = given / given.sum()
    if space == 'probability':
        mean: _Scores = np.tensordot(shares, scores, axes=1)
        return mean
    # A probability that was rounded to 0 must not decide alone.
    logits = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    mean = np.tensordot(shares, logits, axes=1)
    mean = np.exp(mean - mean.max(1, keepdims=True))
    return mean / mean.sum(1, keepdims=True)


def choose_weights(
    scores: _Scores, labels: NDArray[np.int_], space: str = 'probability'
) -> tuple[float, ...]:
    """Choose weights of a grid by accuracy, which must be on the sources.

    Args:
        scores: Class probabilities on source validation, ``(M, N, K)``.
        labels: True classes, ``(N,)``.
        space: As in :func:`combine`.

    Returns:
        One weight per member, in steps of 0.1; of equally good ones those
        nearest to equal weights [choice].

    Example:
        >>> good, bad = [[0.6, 0.4]], [[0.0, 1.0]]
        >>> choose_weights(np.array([good, bad]), np.array([0]))
        (0.9, 0.1)
    """
    grid = sorted(
        _grid(len(scores), _STEPS), key=lambda w: sum(x * x for x in w)
    )
    right = [
        np.mean(combine(scores, w, space).argmax(1) == labels) for w in grid
    ]
    return tuple(x / _STEPS for x in grid[int(np.argmax(right))])


def _grid(members: int, total: int) -> list[tuple[int, ...]]:
    """All ways to share out whole steps."""
    if members == 1:
        return [(total,)]
    return [
        (first, *rest)
        for first in range(total, -1, -1)
        for rest in _grid(members - 1, total - first)
    ]


def measure(
    aligned: Aligned,
    weights: Sequence[float] | None = None,
    space: str = 'probability',
) -> dict[str, float]:
    """Measure an ensemble, by the names of ``AudioVisualAccuracy``.

    Args:
        aligned: Its members.
        weights: As in :func:`combine`.
        space: As in :func:`combine`.

    Returns:
        ``acc/top1``, by domain where there are several, and as
        ``acc/top1_<modality>`` the accuracies of members of one modality.
    """
    fused = combine(aligned.scores, weights, space)
    metric = AudioVisualAccuracy()
    metric.process(
        None,
        [
            {
                'pred_score': torch.from_numpy(fused[row]),
                'modality_scores': {
                    m: torch.from_numpy(aligned.scores[number, row])
                    for m, number in aligned.branches.items()
                },
                'gt_label': torch.tensor([int(label)]),
                'domain': aligned.domains[row],
            }
            for row, label in enumerate(aligned.labels)
        ],
    )
    found: dict[str, Any] = metric.evaluate(len(fused))
    return found
