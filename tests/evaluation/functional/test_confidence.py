import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgmp.evaluation import area_under_risk_coverage, auroc, fpr_at_tpr

SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=12)


def test_aurc_by_hand():
    # Errors at the 2nd and 4th place: risks 0, 1/2, 1/3, 2/4.
    value = area_under_risk_coverage(
        [0.6, 0.9, 0.7, 0.8], [False, True, True, False]
    )
    assert value == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


def test_aurc_of_ties_is_the_expectation_over_their_orders():
    # One error among two ties: risks (1, 1/2) or (0, 1/2), mean (1/2, 1/2).
    for correct in ([True, False], [False, True]):
        assert area_under_risk_coverage([0.5, 0.5], correct) == 0.5


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1))
def test_aurc_ignores_order_and_monotone_rescaling(samples):
    confidence, correct = np.array(samples, dtype=float).T
    value = area_under_risk_coverage(confidence, correct)
    assert 0 <= value <= 1
    assert area_under_risk_coverage(
        confidence[::-1], correct[::-1]
    ) == pytest.approx(value)
    assert area_under_risk_coverage(np.exp(confidence), correct) == value


@pytest.mark.parametrize(('correct', 'value'), [(True, 0.0), (False, 1.0)])
def test_aurc_of_a_constant_model(correct, value):
    assert area_under_risk_coverage([0.1, 0.2, 0.2], [correct] * 3) == value


@settings(deadline=None)  # the first call imports scikit-learn
@given(SCORES, SCORES)
def test_auroc_is_the_share_of_ordered_pairs(positive, negative):
    difference = np.subtract.outer(positive, negative)
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert auroc(positive, negative) == pytest.approx(expected)


@settings(deadline=None)  # the first call imports scikit-learn
@given(SCORES, SCORES, st.sampled_from([0.25, 0.5, 0.95, 1.0]))
def test_fpr_at_tpr_is_the_best_threshold(positive, negative, tpr):
    # By definition: the highest threshold that accepts enough positives.
    threshold = max(
        t for t in positive if np.mean(np.array(positive) >= t) >= tpr
    )
    expected = np.mean(np.array(negative) >= threshold)
    assert fpr_at_tpr(positive, negative, tpr) == pytest.approx(expected)


def test_fpr95_by_hand():
    # 19 of 20 positives are at least 2, and so is one of four negatives.
    assert fpr_at_tpr([1, *range(2, 21)], [0, 0, 1, 2]) == 0.25


@pytest.mark.parametrize('measure', [auroc, fpr_at_tpr])
@pytest.mark.parametrize(
    ('positive', 'negative', 'name'),
    [
        ([], [1.0], 'positive'),
        ([1.0], [], 'negative'),
        ([np.nan], [1.0], 'positive'),
        ([1.0], [[1.0]], 'negative'),
    ],
    ids=['no-positive', 'no-negative', 'nan', 'matrix'],
)
def test_bad_scores_are_named(measure, positive, negative, name):
    with pytest.raises(ValueError, match=f'{name} must be a non-empty'):
        measure(positive, negative)


def test_other_mistakes_are_explained():
    with pytest.raises(ValueError, match='correct must have the shape'):
        area_under_risk_coverage([0.1, 0.2], [True])
    with pytest.raises(ValueError, match=r'tpr must be in \(0, 1\], got 95'):
        fpr_at_tpr([1.0], [0.0], tpr=95)
