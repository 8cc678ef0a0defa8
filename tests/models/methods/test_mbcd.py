from __future__ import annotations

import pytest
import torch

from mmgmp.models.layers import drop_modalities
from mmgmp.models.methods.mbcd import MBCDMethod, divergence, drop_rates
from mmgmp.structures import Task

from .toy_methods import batch_for, build_model, hand_batch

TWO = {'video': 4, 'audio': 2}


def logits_with(*largest):
    """Logits of two classes with the given largest probabilities."""
    return torch.tensor([[p, 1 - p] for p in largest]).log()


@pytest.mark.parametrize(
    ('floor', 'expected'), [(0.0, [0.497106, 0.0]), (0.2, [0.597685, 0.0])]
)
def test_drop_rates(floor, expected):
    rates = drop_rates([logits_with(0.9, 0.8), logits_with(0.6, 0.5)], floor)
    assert rates.tolist() == pytest.approx(expected, abs=1e-6)


def test_drop_rates_of_three_modalities():
    rates = drop_rates(
        [logits_with(0.8, 0.8), logits_with(0.5, 0.5), logits_with(0.6, 0.6)]
    )
    assert rates.tolist() == pytest.approx([0.435502, 0.0, 0.0], abs=1e-6)


def test_drop_rates_have_no_gradient_and_one_modality_stays():
    logits = logits_with(0.9, 0.8).requires_grad_()
    assert not drop_rates([logits, logits_with(0.5, 0.5)]).requires_grad
    assert drop_rates([logits_with(0.9)]).tolist() == [0.0]
    assert drop_rates([logits_with(0.7)] * 2, floor=0.5).tolist() == [0, 0]


def test_divergence_is_from_the_teacher():
    target, student = torch.zeros(1, 2), logits_with(0.8)
    assert divergence(target, student).item() == pytest.approx(
        0.223144, abs=1e-6
    )
    assert divergence(student, target).item() == pytest.approx(
        0.192745, abs=1e-6
    )
    assert divergence(student, student).item() == pytest.approx(0, abs=1e-7)


def test_kept_rows_are_unscaled():
    method = MBCDMethod(TWO, 2)
    seen = []

    def classify(features):
        seen.append(features)
        return features['video'][:, :2]

    video = logits_with(0.99, 0.99, 0.99, 0.99)
    batch = hand_batch(
        {m: torch.ones(4, d) for m, d in TWO.items()},
        [0, 1, 0, 1],
        inner_features={m: 2 * torch.ones(4, d) for m, d in TWO.items()},
        unimodal_logits={'video': video, 'audio': logits_with(*[0.5] * 4)},
        classify=classify,
    )
    for _ in range(20):
        method.losses(batch)
    video = torch.cat([f['video'] for f in seen])
    assert set(video.unique().tolist()) == {0.0, 2.0}
    assert all((f['audio'] == 2).all() for f in seen)


def test_everything_off_is_the_plain_sum():
    heads = dict(type='MLPClassifierHead', num_classes=3, dropout=0.0)
    model = build_model(
        'mbcd',
        cls_head=heads,
        unimodal_heads=heads,
        feature_transforms=[],
        forward_plan=dict(type='InnerStepPlan', step_size=0.0),
        methods=[
            dict(
                type='MBCDMethod',
                fused_distillation=0.0,
                unimodal_distillation=0.0,
            )
        ],
    )
    # Equal heads on equal features are equally confident: no dropout.
    for m in model.modalities:
        torch.nn.init.zeros_(model.unimodal_heads[m].output.weight)
        torch.nn.init.zeros_(model.unimodal_heads[m].output.bias)
    inputs, samples = batch_for('mbcd')
    losses = model(inputs, samples, mode='loss')
    features = model.extract_feat(inputs)
    labels = torch.cat([s.gt_label for s in samples])
    torch.testing.assert_close(
        losses['loss_cls_fused'],
        model.cls_head.loss(model.cls_head(model.fusion(features)), labels),
    )
    torch.testing.assert_close(
        losses['loss_cls_unimodal'],
        sum(
            head.loss(head(features[m]), labels)
            for m, head in model.unimodal_heads.items()
        ),
    )
    assert losses['loss_cls_distillation_fused'] == 0


def test_unimodal_losses_reach_their_own_encoder_only():
    model = build_model('mbcd')
    losses = model(*batch_for('mbcd'), mode='loss')
    assert 'loss_cls' not in losses
    head = model.unimodal_heads['video']
    inputs, samples = batch_for('mbcd')
    batch = model.forward_plan.run(model, inputs, samples)
    loss = head.loss(batch.unimodal_logits['video'], batch.labels)
    audio = model.trainable_encoder_parameters()['audio']
    gradients = torch.autograd.grad(loss, audio, allow_unused=True)
    assert all(g is None for g in gradients)


def test_needs_are_named():
    with pytest.raises(ValueError, match="forward_plan=.*'InnerStepPlan'"):
        build_model('mbcd', forward_plan=None)
    with pytest.raises(ValueError, match='model.unimodal_heads'):
        build_model('mbcd', unimodal_heads=None)
    model = build_model('mbcd')
    model.set_teacher(None)
    with pytest.raises(RuntimeError, match='TeacherHook'):
        model(*batch_for('mbcd'), mode='loss')
    with pytest.raises(ValueError, match=r'floor of MBCDMethod.*1\.0'):
        MBCDMethod(TWO, 2, floor=1.0)


def test_all_terms_are_classification():
    model = build_model('mbcd', num_domains=None)
    losses = model(*batch_for('mbcd'), mode='loss')
    names = {n for n in losses if n.startswith('loss_')}
    assert names == {
        'loss_cls_fused',
        'loss_cls_unimodal',
        'loss_cls_distillation_fused',
        'loss_cls_distillation_unimodal',
    }
    assert {t.value for t in MBCDMethod.default_tasks.values()} == {
        Task.CLASSIFICATION.value
    }


def test_confidences_that_are_not_finite_reach_what_is_left():
    bad = torch.full((2, 2), float('nan'))
    rates = drop_rates([bad, logits_with(0.6, 0.5)])
    assert rates.isnan().all()
    left = drop_modalities(
        {m: torch.ones(2, w) for m, w in TWO.items()}, rates
    )
    assert all(x.isnan().all() for x in left.values())
