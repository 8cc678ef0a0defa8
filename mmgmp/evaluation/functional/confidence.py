"""How well a confidence tells right from wrong and known from unknown.

Both questions compare two sets of scores, so two functions serve both:
misclassification detection has the correct predictions as positives and the
wrong ones as negatives; out-of-distribution detection has the known samples
as positives and the unknown ones as negatives. The *trusted* set is the
positive one in both [choice]; FPR95 differs if the roles are exchanged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def area_under_risk_coverage(
    confidence: ArrayLike, correct: ArrayLike
) -> float:
    """Mean error rate of the i most confident samples, over i = 1..N.

    Selective classification answers only where it is confident; this is its
    error rate averaged over every share of answered samples. Samples of equal
    confidence are taken in random order and the expectation is returned, so
    the order of the samples never matters [choice].

    Args:
        confidence: Score per sample, ``(N,)``, higher is more confident.
        correct: Whether each prediction is right, ``(N,)`` of bool.

    Returns:
        AURC in [0, 1], lower is better. Papers often print it times 1000.

    Raises:
        ValueError: If the two differ in shape, are empty or not finite.

    Example:
        >>> area_under_risk_coverage([0.9, 0.8], [True, False])
        0.25

    Source: Geifman et al., "Bias-Reduced Uncertainty Estimation for Deep
    Neural Classifiers" (ICLR 2019), the empirical AURC.
    """
    scores = _check_scores('confidence', confidence)
    wrong = ~np.asarray(correct, dtype=bool)
    if wrong.shape != scores.shape:
        raise ValueError(
            f'correct must have the shape of confidence {scores.shape}, got '
            f'{wrong.shape}; pass one entry per sample'
        )
    _, group = np.unique(-scores, return_inverse=True)
    expected = np.bincount(group, weights=wrong) / np.bincount(group)
    errors = np.cumsum(expected[np.sort(group)])
    return float(np.mean(errors / np.arange(1, len(errors) + 1)))


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Probability that a positive scores above a negative (ties count half).

    Args:
        positive: Scores of the trusted samples, ``(P,)``.
        negative: Scores of the others, ``(Q,)``.

    Returns:
        Area under the ROC curve in [0, 1], higher is better.

    Raises:
        ValueError: If a set is empty, not one-dimensional or not finite.

    Example:
        >>> auroc([0.9, 0.6], [0.7, 0.1])
        0.75
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_labelled(positive, negative)))


def fpr_at_tpr(
    positive: ArrayLike, negative: ArrayLike, tpr: float = 0.95
) -> float:
    """Share of negatives accepted when ``tpr`` of the positives are.

    Args:
        positive: Scores of the trusted samples, ``(P,)``.
        negative: Scores of the others, ``(Q,)``.
        tpr: Share of positives to accept at least, in (0, 1]; 0.95 is FPR95.

    Returns:
        False positive rate in [0, 1] at the highest threshold that accepts
        that share, lower is better.

    Raises:
        ValueError: If a set is empty, not one-dimensional or not finite, or
            ``tpr`` is out of range.

    Example:
        >>> fpr_at_tpr([0.9, 0.6], [0.7, 0.1])
        0.5
    """
    from sklearn.metrics import roc_curve

    if not 0 < tpr <= 1:
        raise ValueError(
            f'tpr must be in (0, 1], got {tpr}; 0.95 gives the usual FPR95'
        )
    # Dropped points may hide the one that reaches tpr inside a run of ties.
    false_positive, true_positive, _ = roc_curve(
        *_labelled(positive, negative), drop_intermediate=False
    )
    return float(false_positive[np.argmax(true_positive >= tpr)])


def _labelled(
    positive: ArrayLike, negative: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    trusted = _check_scores('positive', positive)
    other = _check_scores('negative', negative)
    labels = np.repeat([True, False], [len(trusted), len(other)])
    return labels, np.concatenate([trusted, other])


def _check_scores(name: str, values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            f'{name} must be a non-empty vector of finite scores, got shape '
            f'{scores.shape} with {np.sum(~np.isfinite(scores))} non-finite; '
            'a measure needs at least one sample of each kind'
        )
    return scores
