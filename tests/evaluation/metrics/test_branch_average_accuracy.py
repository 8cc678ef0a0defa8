from __future__ import annotations

import pytest
import torch

from mmgmp.evaluation import BranchAverageAccuracy
from mmgmp.registry import METRICS, MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

HEADS = dict(type='MLPClassifierHead', num_classes=3, hidden_channels=0)


@pytest.mark.parametrize('num_domains', [None, 2])
def test_it_is_that_of_the_mean_of_all_logits(num_domains):
    modalities = ('video', 'audio', 'flow')
    torch.manual_seed(0)
    model = MODELS.build(
        toy_recognizer(
            modalities,
            num_domains=num_domains,
            unimodal_heads=HEADS,
            contribution=dict(semantic='unimodal'),
        )
    ).eval()
    for m in modalities:  # so that the branches disagree
        model.unimodal_heads[m].output.weight.data *= 20
    inputs, samples = toy_batch(12, modalities, seed=3)
    metric = BranchAverageAccuracy()
    with torch.no_grad():
        features = model.extract_feat(inputs)
        branches = [
            model.cls_head(model.fusion(features)),
            *(model.unimodal_heads[m](features[m]) for m in modalities),
        ]
        metric.process(
            None,
            [s.to_dict() for s in model(inputs, samples, mode='predict')],
        )
    mean = torch.stack(branches).mean(0)
    kept = torch.stack([torch.tensor(logits) for logits, _ in metric.results])
    torch.testing.assert_close(
        kept.softmax(1), mean.double().softmax(1), atol=1e-5, rtol=1e-4
    )
    labels = torch.cat([s.gt_label for s in samples])
    expected = (mean.argmax(1) == labels).double().mean().item()
    assert metric.evaluate(size=12)['avg/top1'] == pytest.approx(expected)
    assert (mean.argmax(1) != branches[0].argmax(1)).any()


def test_what_has_underflowed_stays_finite():
    metric = METRICS.build(dict(type='BranchAverageAccuracy'))
    metric.process(
        None,
        [
            dict(
                pred_score=torch.tensor([1.0, 0.0]),
                modality_scores=dict(audio=torch.tensor([0.4, 0.6])),
                gt_label=torch.tensor([0]),
            )
        ],
    )
    assert metric.evaluate(size=1)['avg/top1'] == 1


def test_scores_per_modality_are_needed():
    with pytest.raises(KeyError, match="dict.semantic='unimodal'"):
        BranchAverageAccuracy().process(
            None, [dict(pred_score=torch.ones(2), gt_label=torch.tensor([0]))]
        )
