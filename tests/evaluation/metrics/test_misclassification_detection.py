import math

import pytest
import torch
from mmengine.evaluator import Evaluator

from mmgmp.registry import METRICS


def evaluate(rows):
    """Evaluate two-class predictions given as (confidence in 0, label)."""
    evaluator = Evaluator([METRICS.get('MisclassificationDetection')()])
    evaluator.process(
        data_samples=[
            {
                'pred_score': torch.tensor([p, 1 - p]),
                'gt_label': torch.tensor([label]),
            }
            for p, label in rows
        ]
    )
    return evaluator.evaluate(len(rows))


def test_by_hand():
    # By falling confidence: right 0.95, wrong 0.9, right 0.8 (class 1).
    metrics = evaluate([(0.9, 1), (0.95, 0), (0.2, 1)])
    assert metrics == pytest.approx(
        {
            'misclassification/aurc': (0 + 1 / 2 + 1 / 3) / 3,
            'misclassification/auroc': 0.5,
            'misclassification/fpr95': 1.0,
        }
    )


@pytest.mark.parametrize(('label', 'aurc'), [(0, 0.0), (1, 1.0)])
def test_undefined_without_both_kinds(label, aurc):
    metrics = evaluate([(0.9, label), (0.8, label)])
    assert metrics['misclassification/aurc'] == aurc
    assert math.isnan(metrics['misclassification/auroc'])
    assert math.isnan(metrics['misclassification/fpr95'])


def test_logits_are_refused():
    with pytest.raises(ValueError, match='must be probabilities'):
        evaluate([(3.0, 0)])
