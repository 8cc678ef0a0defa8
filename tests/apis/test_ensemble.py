from __future__ import annotations

import numpy as np
import pytest

from mmgmp.apis.ensemble import align, choose_weights, combine, measure
from mmgmp.apis.predictions import Predictions

VIDEO, AUDIO = [[0.7, 0.3]], [[0.4, 0.6]]


def said(scores, ids, labels=None, modalities=('video',)):
    scores = np.array(scores)
    labels = np.array(labels or [0] * len(scores))
    domains = ['h'] * len(scores)
    return Predictions(
        labels, scores.argmax(1), domains, ids, scores, modalities
    )


def test_the_mean_of_two():
    both = np.array([VIDEO, AUDIO])
    np.testing.assert_allclose(combine(both), [[0.55, 0.45]])
    np.testing.assert_allclose(combine(both, [3, 1]), [[0.625, 0.375]])


def test_the_mean_logit_is_the_geometric_mean():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (3, 5, 4))
    scores = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    expected = np.exp(logits.mean(0))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(combine(scores, None, 'logit'), expected)
    found = combine(np.array([[[1.0, 0.0]], [[0.5, 0.5]]]), None, 'logit')
    assert np.isfinite(found).all()


@pytest.mark.parametrize('weights', [[1], [-1, 2], [0, 0], [np.nan, 1]])
def test_weights_that_cannot_be_used(weights):
    with pytest.raises(ValueError, match='weights must be 2 numbers >= 0'):
        combine(np.array([VIDEO, AUDIO]), weights)


def test_weights_of_three():
    right, wrong = [[0.6, 0.4]], [[0.0, 1.0]]
    scores = np.array([right, wrong, wrong])
    weights = choose_weights(scores, np.array([0]))
    assert weights[0] == 0.9
    assert sum(weights) == pytest.approx(1)
    same = choose_weights(np.array([right, right, right]), np.array([0]))
    assert sorted(same) == [0.3, 0.3, 0.4]


def test_samples_are_matched_by_their_id():
    video = said([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], ['a', 'b', 'c'])
    audio = said([[0.7, 0.3], [0.4, 0.6]], ['b', 'a'], None, ('audio',))
    both = align({'V': video, 'A': audio})
    assert both.left_out == {'V': 1, 'A': 0}
    np.testing.assert_allclose(
        combine(both.scores), [[0.65, 0.35], [0.45, 0.55]]
    )
    assert measure(both) == {
        'acc/top1': 0.5,
        'acc/top1_video': 0.5,
        'acc/top1_audio': 0.5,
    }


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (said(AUDIO, ['b']), 'samples in common, got none'),
        (said(AUDIO, ['a'], [1]), r"other labels in \['A'\] than in V"),
        (said([[0.4, 0.3, 0.3]], ['a']), "classes {'V': 2, 'A': 3}"),
        (said(AUDIO * 2, ['a', 'a']), 'A must name each sample .*got 1 names'),
        (said(AUDIO, ['']), 'A must name each sample by its sample_id'),
    ],
)
def test_members_that_do_not_fit(other, message):
    with pytest.raises(ValueError, match=message):
        align({'V': said(VIDEO, ['a']), 'A': other})


def test_one_is_no_ensemble():
    with pytest.raises(ValueError, match='two members or more'):
        align({'V': said(VIDEO, ['a'])})
