from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.models.methods.agm_logits import AGMLogitsMethod
from mmgmp.structures import Task

from .toy_methods import hand_batch
from .toy_strategies import build, three_steps

WIDTHS = {'video': 2, 'audio': 3}
LABELS = [0, 1, 2, 0]


class Head(nn.Module):
    """A joint head, linear or not."""

    def __init__(self, hidden):
        super().__init__()
        torch.manual_seed(0)
        self.layers = (
            nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
            if hidden
            else nn.Linear(5, 3)
        )

    def forward(self, features):
        return self.layers(torch.cat(list(features.values()), 1))


def case(hidden, method):
    head = Head(hidden)
    torch.manual_seed(1)
    features = {
        m: torch.randn(4, w, requires_grad=True) for m, w in WIDTHS.items()
    }
    batch = hand_batch(features, LABELS, logits=head(features), classify=head)
    loss = method.losses(batch)[Task.CLASSIFICATION]['shares']
    return head, features, loss


def aged(**kwargs):
    """A method with a history that makes its gains differ from one."""
    method = AGMLogitsMethod(WIDTHS, 3, **kwargs)
    method.running_scores.copy_(torch.tensor([1.0, 1.2]))
    method.num_updates.fill_(5)
    return method


@pytest.mark.parametrize('hidden', [False, True])
def test_the_value_is_that_of_the_plain_cross_entropy(hidden):
    head, features, loss = case(hidden, aged())
    plain = F.cross_entropy(head(features), torch.tensor(LABELS))
    torch.testing.assert_close(loss, plain)


def test_a_linear_head_scales_the_gradient_of_each_encoder():
    method = aged()
    head, features, loss = case(False, method)
    plain = F.cross_entropy(head(features), torch.tensor(LABELS))
    expected = torch.autograd.grad(plain, list(features.values()))
    found = torch.autograd.grad(loss, list(features.values()))
    ratios = [f / e for f, e in zip(found, expected, strict=True)]
    gains = [ratio.mean().item() for ratio in ratios]
    for ratio, gain in zip(ratios, gains, strict=True):
        torch.testing.assert_close(ratio, torch.full_like(ratio, gain))
    assert gains[0] != pytest.approx(1, abs=1e-3)
    assert method.running_scores.tolist() != [1.0, 1.2]


def test_a_deep_head_gets_what_the_shares_say():
    """Full logits (kv+ka)/2 g, video alone (kv-ka)/2 g, audio alone -that."""
    method = aged()
    gains = []
    method._gains = lambda scores: (
        gains.append(AGMLogitsMethod._gains(method, scores)) or gains[0]
    )
    head, features, loss = case(True, method)
    found = torch.autograd.grad(loss, list(head.parameters()))
    full = head(features)
    g = torch.autograd.grad(
        F.cross_entropy(full, torch.tensor(LABELS)), full, retain_graph=True
    )[0]
    k_v, k_a = gains[0].float()
    zero = {m: torch.zeros_like(x) for m, x in features.items()}
    video = head({**features, 'audio': zero['audio']})
    audio = head({**features, 'video': zero['video']})
    surrogate = (
        (k_v + k_a) / 2 * (g * full).sum()
        + (k_v - k_a) / 2 * (g * video).sum()
        - (k_v - k_a) / 2 * (g * audio).sum()
    )
    expected = torch.autograd.grad(surrogate, list(head.parameters()))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_first_step_has_no_history():
    method = AGMLogitsMethod(WIDTHS, 3)
    case(True, method)
    assert method.num_updates == 1
    assert method.running_scores.min() > 0


def test_evaluation_leaves_the_history_alone():
    method = aged().eval()
    case(True, method)
    assert method.num_updates == 5


def test_outside_its_window_it_is_plain_but_goes_on_counting():
    method = aged(start_epoch=3)
    head, features, loss = case(False, method)
    plain = F.cross_entropy(head(features), torch.tensor(LABELS))
    for found, expected in zip(
        torch.autograd.grad(loss, list(features.values())),
        torch.autograd.grad(plain, list(features.values())),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)
    assert method.num_updates == 6


@pytest.mark.parametrize('fusion', ['ConcatFusion', 'FiLMFusion'])
def test_three_steps_stay_finite(fusion):
    model = build(
        methods=[dict(type='AGMLogitsMethod')],
        fusion=dict(type=fusion),
        unimodal_heads=None,
    )
    wrapper = three_steps(model)
    assert isinstance(wrapper, TaskGradientOptimWrapper)
    assert model.methods[0].num_updates == 3


@pytest.mark.parametrize(
    'kwargs', [dict(alpha=-1), dict(start_epoch=2, end_epoch=1)]
)
def test_bad_arguments_are_explained(kwargs):
    with pytest.raises(ValueError, match='AGMLogitsMethod in model.methods'):
        AGMLogitsMethod(WIDTHS, 3, **kwargs)
