from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmgmp.models.methods.grad_blending import GradBlendingMethod
from mmgmp.structures import LossBlender, Task, get_task_losses
from mmgmp.testing.toy_configs import toy_batch

from .toy_methods import HEADS, hand_batch
from .toy_strategies import build, three_steps

WIDTHS = {'video': 2, 'audio': 1}
FEATURES = {'video': torch.zeros(2, 2), 'audio': torch.zeros(2, 1)}


def batch():
    return hand_batch(
        FEATURES,
        [0, 1],
        logits=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        unimodal_logits={
            'video': torch.tensor([[2.0, 0.0], [0.0, 2.0]]),
            'audio': torch.zeros(2, 2),
        },
    )


def test_losses_are_weighted_and_the_weights_sum_to_one():
    method = GradBlendingMethod(
        WIDTHS, 2, weights=dict(video=1, fused=2, audio=1)
    )
    terms = method.losses(batch())
    assert set(terms) == {Task.CLASSIFICATION}
    expected = {
        'fused': 0.5 * F.cross_entropy(batch().logits, batch().labels),
        'video': 0.25 * torch.log1p(torch.tensor(-2.0).exp()),
        'audio': 0.25 * torch.tensor(2.0).log(),
    }
    for head, value in terms[Task.CLASSIFICATION].items():
        torch.testing.assert_close(value, expected[head])


def test_measured_losses_are_weighted_by_samples_not_by_batches():
    method = GradBlendingMethod(WIDTHS, 2)
    assert isinstance(method, LossBlender)
    assert method.measured().tolist() == [0, 0, 0, 0]
    method.losses(batch())
    one = hand_batch(
        {m: x[:1] for m, x in FEATURES.items()},
        [0],
        logits=torch.zeros(1, 2),
        unimodal_logits={m: torch.zeros(1, 2) for m in WIDTHS},
    )
    method.losses(one)
    *sums, count = method.measured().tolist()
    both = F.cross_entropy(batch().logits, batch().labels, reduction='sum')
    assert count == 3
    assert sums[0] == pytest.approx(both.item() + 0.693147, abs=1e-5)
    method.start_measuring()
    assert method.measured()[-1] == 0


def test_the_blend_replaces_the_fused_loss_and_reaches_every_head():
    model = build(methods=[dict(type='GradBlendingMethod')])
    total, logged = model.parse_losses(model(*toy_batch(), mode='loss'))
    assert 'loss_cls' not in logged
    assert {'loss_cls_fused', 'loss_cls_video', 'loss_cls_audio'} <= set(
        logged
    )
    get_task_losses(total).losses[Task.CLASSIFICATION].backward()
    for name, parameter in model.named_parameters():
        if name.startswith(('encoders', 'cls_head', 'unimodal_heads')):
            assert parameter.grad is not None, name


def test_three_steps_stay_finite():
    three_steps(build(methods=[dict(type='GradBlendingMethod')]))


def test_state_survives_bit_for_bit():
    method = GradBlendingMethod(WIDTHS, 2)
    method.weights.copy_(torch.tensor([0.5, 0.3, 0.2]))
    method.boundary_losses.copy_(torch.rand(2, 3))
    method.num_boundaries.add_(4)
    twin = GradBlendingMethod(WIDTHS, 2)
    twin.load_state_dict(method.state_dict())
    for name, value in method.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value)


@pytest.mark.parametrize(
    'weights',
    [
        dict(fused=1, video=1),
        dict(fused=1, video=1, audio=1, flow=1),
        dict(fused=1, video=-1, audio=1),
        dict(fused=0, video=0, audio=0),
    ],
)
def test_bad_weights_are_explained(weights):
    with pytest.raises(ValueError, match="'fused', 'video', 'audio'.*got"):
        GradBlendingMethod(WIDTHS, 2, weights=weights)


def test_missing_heads_are_explained():
    with pytest.raises(ValueError, match='unimodal_heads'):
        build(methods=[dict(type='GradBlendingMethod')], unimodal_heads=None)
    assert HEADS['hidden_channels'] == 0


def test_a_batch_that_is_not_finite_spoils_no_epoch():
    method = GradBlendingMethod(WIDTHS, 2)
    method.losses(batch())
    before = method.measured().clone()
    bad = hand_batch(
        FEATURES,
        [0, 1],
        logits=torch.full((2, 2), float('nan')),
        unimodal_logits=batch().unimodal_logits,
    )
    terms = method.losses(bad)[Task.CLASSIFICATION]
    assert terms['fused'].isnan()
    assert torch.equal(method.measured(), before)
