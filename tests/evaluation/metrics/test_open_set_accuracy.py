from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from sklearn.metrics import accuracy_score, recall_score

from mmgmp.evaluation import OpenSetAccuracy
from mmgmp.registry import METRICS


def sample(probability, label, predicted=0):
    score = torch.full((2,), 1 - probability)
    score[predicted] = probability
    return dict(pred_score=score, gt_label=torch.tensor([label]))


def evaluate(samples, **kwargs):
    metric = OpenSetAccuracy(**kwargs)
    metric.process(None, samples)
    return metric.evaluate(size=len(samples))


# Known: right, right, wrong. Unknown: one below and one above most others.
SAMPLES = [
    sample(0.9, 0),
    sample(0.7, 1, predicted=1),
    sample(0.8, 1, predicted=0),
    sample(0.6, 2),
    sample(0.85, 3),
]


@pytest.mark.parametrize(
    ('threshold', 'known', 'unknown', 'accuracy'),
    [
        (0.65, 2 / 3, 1 / 2, 3 / 5),
        (0.88, 1 / 3, 1, 3 / 5),
        (0.0, 2 / 3, 0, 0.4),
    ],
)
def test_one_threshold_by_hand(threshold, known, unknown, accuracy):
    found = evaluate(SAMPLES, threshold=threshold)
    assert found['open_set/os'] == pytest.approx(known)
    assert found['open_set/unk'] == pytest.approx(unknown)
    assert found['open_set/accuracy'] == pytest.approx(accuracy)
    mean = 2 * known * unknown / (known + unknown)
    assert found['open_set/hos'] == pytest.approx(mean)
    assert found['open_set/threshold'] == threshold
    # Pairs of a known and an unknown sample in the right order: 3 + 1 of 6.
    assert found['open_set/auroc'] == pytest.approx(4 / 6)


def test_the_sweep_takes_the_best_of_ten_thresholds():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 6, 200)
    scores = generator.dirichlet([0.7] * 4, 200)
    samples = [
        dict(pred_score=torch.tensor(p), gt_label=torch.tensor([y]))
        for p, y in zip(scores, labels, strict=True)
    ]
    found = evaluate(samples)
    largest = scores.astype(np.float32).max(1).astype(float)
    truth = np.minimum(labels, 4)
    accuracies, means = [], []
    for step in range(10):
        threshold = largest.min() + (largest.max() - largest.min()) * step / 9
        predicted = np.where(largest < threshold - 1e-12, 4, scores.argmax(1))
        accuracies.append(accuracy_score(truth, predicted))
        known = accuracy_score(truth[truth < 4], predicted[truth < 4])
        unknown = recall_score(truth == 4, predicted == 4)
        means.append(2 * known * unknown / max(known + unknown, 1e-12))
    assert found['open_set/hos'] == pytest.approx(max(means))
    assert found['open_set/accuracy'] == pytest.approx(max(accuracies))


def test_nothing_found_is_zero_and_no_division():
    found = evaluate([sample(0.9, 1), sample(0.9, 2)], threshold=0.5)
    assert found['open_set/hos'] == 0


def test_it_is_built_and_run_by_the_evaluator():
    evaluator = Evaluator([dict(type='OpenSetAccuracy')])
    assert isinstance(evaluator.metrics[0], METRICS.get('OpenSetAccuracy'))
    evaluator.process(SAMPLES)
    assert evaluator.evaluate(len(SAMPLES))['open_set/hos'] > 0


@pytest.mark.parametrize('labels', [(0, 1), (2, 3)])
def test_both_kinds_are_needed(labels):
    with pytest.raises(ValueError, match='known and unknown samples'):
        evaluate([sample(0.9, label) for label in labels])


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(threshold=1.5), r'threshold must be in \[0, 1\].*1.5'),
        (dict(num_thresholds=1), 'num_thresholds must be >= 2, got 1'),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        OpenSetAccuracy(**kwargs)


def test_bad_labels():
    with pytest.raises(KeyError, match='gt_label must be in every'):
        evaluate([dict(pred_score=torch.ones(2))])
    with pytest.raises(ValueError, match='one label >= 0'):
        evaluate([sample(0.9, -1)])
