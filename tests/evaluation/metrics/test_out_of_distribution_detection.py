from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from mmgmp.evaluation import OutOfDistributionDetection


def sample(confidence, domain):
    score = torch.tensor([confidence, 1 - confidence])
    return {'pred_score': score, 'domain': domain}


def evaluate(samples, domains=('D1', 'D2')):
    metric = OutOfDistributionDetection(foreign_domains=domains)
    metric.process(None, samples)
    return metric.evaluate(size=len(samples))


def test_known_samples_are_the_positives():
    known, foreign = [0.9, 0.8, 0.6], [0.7, 0.55]
    found = evaluate(
        [sample(c, 'human') for c in known]
        + [sample(foreign[0], 'D1'), sample(foreign[1], 'D2')]
    )
    expected = roc_auc_score([1, 1, 1, 0, 0], known + foreign)
    assert found['ood/auroc'] == pytest.approx(expected)
    assert found['ood/fpr95'] == 0.5


def test_labels_of_the_foreign_corpus_are_not_read():
    foreign = {**sample(0.6, 'D1'), 'gt_label': torch.tensor([99])}
    assert evaluate([sample(0.9, 'human'), foreign])['ood/auroc'] == 1


@pytest.mark.parametrize('domain', ['human', 'D1'])
def test_one_corpus_alone_is_refused(domain):
    with pytest.raises(ValueError, match='known and foreign samples'):
        evaluate([sample(0.9, domain)])


@pytest.mark.parametrize('domains', ['D1', []])
def test_the_foreign_domains_must_be_listed(domains):
    with pytest.raises(ValueError, match='list of at least one domain'):
        OutOfDistributionDetection(foreign_domains=domains)


def test_a_sample_without_domain_is_refused():
    with pytest.raises(KeyError, match='meta_keys'):
        evaluate([{'pred_score': torch.tensor([0.5, 0.5])}])
