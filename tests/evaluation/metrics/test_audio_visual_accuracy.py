import pickle

import numpy as np
import pytest
import torch
from mmaction.evaluation import ConfusionMatrix
from mmaction.structures import ActionDataSample
from mmengine.evaluator import DumpResults, Evaluator
from torch.nn.functional import one_hot

from mmgmp.evaluation import AudioVisualAccuracy
from mmgmp.registry import METRICS

# label, prediction of the fused model, of video, of audio, domain
ROWS = [
    (0, 0, 0, 1, 'human'),
    (1, 1, 0, 1, 'human'),
    (2, 2, 2, 0, 'cartoon'),
    (2, 0, 2, 2, 'cartoon'),
    (0, 0, 1, 1, 'cartoon'),
]


def make_sample(label, fused, video, audio, domain, num_classes=3):
    def scores(index):
        return one_hot(torch.tensor(index), num_classes).float()

    sample = ActionDataSample(metainfo={'domain': domain})
    sample.set_gt_label(label).set_pred_score(scores(fused))
    sample.modality_scores = {'video': scores(video), 'audio': scores(audio)}
    return sample


def evaluate(samples, *, metrics=None, classes=None, **kwargs):
    metrics = metrics or [AudioVisualAccuracy(**kwargs)]
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = {'classes': classes} if classes else None
    evaluator.process(data_samples=samples)
    return evaluator.evaluate(len(samples))


def test_overall_per_modality_and_per_domain():
    samples = [make_sample(*row) for row in ROWS]
    assert evaluate(samples) == pytest.approx(
        {
            'acc/top1': 4 / 5,
            'acc/top1_video': 3 / 5,
            'acc/top1_audio': 2 / 5,
            'acc/human_top1': 1.0,
            'acc/human_top1_video': 1 / 2,
            'acc/human_top1_audio': 1 / 2,
            'acc/cartoon_top1': 2 / 3,
            'acc/cartoon_top1_video': 2 / 3,
            'acc/cartoon_top1_audio': 1 / 3,
        }
    )


@pytest.mark.parametrize(
    ('rows', 'per_domain'),
    [(ROWS[:2], True), (ROWS, False)],
    ids=['one-domain', 'switched-off'],
)
def test_no_domain_names_without_domains_to_compare(rows, per_domain):
    samples = [make_sample(*row) for row in rows]
    names = evaluate(samples, per_domain=per_domain)
    assert set(names) == {'acc/top1', 'acc/top1_video', 'acc/top1_audio'}


def test_topk_without_modality_scores():
    sample = ActionDataSample(metainfo={'domain': 'human'})
    sample.set_gt_label(1).set_pred_score(torch.tensor([0.5, 0.3, 0.2]))
    assert evaluate([sample], topk=(1, 2)) == {'acc/top1': 0, 'acc/top2': 1}


def test_classes_absent_from_the_set_do_not_count():
    # Class 1 is predicted once and never true.
    rows = [(0, 0, 0, 0, 'a'), (0, 1, 0, 0, 'a'), (2, 2, 2, 2, 'a')]
    metrics = evaluate(
        [make_sample(*row) for row in rows],
        classes=['run', 'eat', 'swim'],
        per_class=True,
    )
    assert metrics['acc/recall_run'] == 0.5
    assert metrics['acc/recall_swim'] == 1.0
    assert metrics['acc/mean_class'] == 0.75
    assert 'acc/recall_eat' not in metrics


def test_classes_are_numbered_where_their_names_are_unknown():
    metrics = evaluate([make_sample(*ROWS[0])], per_class=True)
    assert metrics['acc/recall_0'] == 1.0


def test_a_third_modality_needs_no_change():
    sample = make_sample(*ROWS[0])
    sample.modality_scores['flow'] = torch.tensor([0.1, 0.2, 0.7])
    assert evaluate([sample])['acc/top1_flow'] == 0


def test_dump_and_confusion_matrix_beside_it(tmp_path):
    samples = [make_sample(*row) for row in ROWS]
    path = tmp_path / 'results.pkl'
    metrics = evaluate(
        samples,
        metrics=[
            METRICS.get('AudioVisualAccuracy')(),
            ConfusionMatrix(),
            DumpResults(str(path)),
        ],
    )
    dumped = pickle.loads(path.read_bytes())
    assert metrics['acc/top1'] == 4 / 5
    assert metrics['confusion_matrix/result'].trace() == 4
    assert [sample['domain'] for sample in dumped] == [r[-1] for r in ROWS]
    audio = torch.stack([s['modality_scores']['audio'] for s in dumped])
    assert audio.argmax(1).tolist() == [row[3] for row in ROWS]


def test_samples_are_left_as_they_were():
    sample = make_sample(*ROWS[0])
    before = {**sample.modality_scores}
    evaluate([sample])
    assert list(sample.modality_scores) == list(before)
    assert sample.modality_scores['video'] is before['video']


def test_half_precision_scores_are_accepted():
    sample = make_sample(*ROWS[0])
    sample.set_pred_score(sample.pred_score.bfloat16())
    assert evaluate([sample])['acc/top1'] == 1


def _without(name):
    def change(sample):
        delattr(sample, name)

    return change


def _set(name, value):
    def change(sample):
        sample.set_field(value, name)

    return change


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (_without('pred_score'), KeyError, 'pred_score must be in every'),
        (_without('gt_label'), KeyError, 'gt_label must be in every'),
        (_without('domain'), KeyError, 'domain must be a meta entry'),
        (_set('pred_score', [0.1]), TypeError, 'must be a tensor'),
        (_set('pred_score', torch.eye(3)), ValueError, 'average the clips'),
        (
            _set('pred_score', torch.tensor([0, np.nan, 0])),
            ValueError,
            'the model has diverged',
        ),
        (_set('gt_label', torch.tensor([3])), ValueError, r'in 0\.\.2, got'),
        (_set('gt_label', torch.ones(3)), ValueError, 'must be one label'),
        (
            _set('modality_scores', {'audio': torch.ones(2)}),
            ValueError,
            r"modality_scores\['audio'\] must have the shape",
        ),
    ],
)
def test_unusable_samples_are_explained(change, error, message):
    sample = make_sample(*ROWS[0])
    change(sample)
    with pytest.raises(error, match=message):
        evaluate([sample])


def test_modalities_must_agree_over_the_set():
    samples = [make_sample(*row) for row in ROWS[:2]]
    del samples[1].modality_scores['audio']
    with pytest.raises(ValueError, match=r"\['video'\] in sample 1"):
        evaluate(samples)


def test_a_branch_counts_where_its_modality_is_there():
    samples = [make_sample(*row) for row in ROWS]
    for index in (0, 3):
        del samples[index].modality_scores['audio']
        samples[index].set_metainfo({'missing_modalities': ('audio',)})
    found = evaluate(samples)
    assert found['acc/top1'] == 4 / 5
    assert found['acc/top1_video'] == 3 / 5
    assert found['acc/top1_audio'] == pytest.approx(1 / 3)
    assert found['acc/samples_audio'] == 3
    assert 'acc/samples_video' not in found
    assert found['acc/cartoon_samples_audio'] == 2
    assert found['acc/human_top1_audio'] == 1


def test_an_empty_set_is_an_error():
    with pytest.raises(ValueError, match='at least one sample'):
        AudioVisualAccuracy().compute_metrics([])


@pytest.mark.parametrize('topk', [(), (0,), 5, (1.5,)])
def test_topk_is_checked(topk):
    with pytest.raises(ValueError, match='topk must be a sequence'):
        AudioVisualAccuracy(topk=topk)


def test_topk_beyond_the_classes_is_an_error():
    with pytest.raises(ValueError, match='at most the number of classes 3'):
        evaluate([make_sample(*ROWS[0])], topk=(1, 5))
