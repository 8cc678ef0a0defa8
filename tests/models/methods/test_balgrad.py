from __future__ import annotations

import pytest
import torch

from mmgmp.models.methods.balgrad import BalGradMethod, divergence
from mmgmp.structures import Task

from .toy_methods import hand_batch
from .toy_strategies import build, three_steps

WIDTHS = {'video': 2, 'audio': 3}
BALGRAD = dict(type='BalGradMethod')


def test_worked_weights():
    method = BalGradMethod(WIDTHS, 2)
    weights = method.learning_state(torch.tensor([1.0, 3.0]), 4)
    assert weights.tolist() == [0.25, 0.75]
    method = BalGradMethod(WIDTHS, 2, weighting='uniform')
    weights = method.learning_state(torch.tensor([1.0, 3.0]), 4)
    assert weights.tolist() == [0.5, 0.5]


def test_worked_divergence():
    target = torch.tensor([[0.8, 0.2]]).log().requires_grad_()
    pulled = torch.zeros(1, 2, requires_grad=True)
    value = divergence(target, pulled)
    assert value.item() == pytest.approx(0.192745, abs=1e-6)
    value.backward()
    assert target.grad is None
    assert pulled.grad is not None
    assert divergence(pulled, pulled).item() == 0


def test_terms_and_their_tasks():
    logits = {
        'video': torch.tensor([[2.0, 0.0]], requires_grad=True),
        'audio': torch.tensor([[0.0, 1.0]], requires_grad=True),
    }
    batch = hand_batch(
        {m: torch.zeros(1, w) for m, w in WIDTHS.items()},
        [0],
        unimodal_logits=logits,
    )
    method = BalGradMethod(WIDTHS, 2, beta=2.0, gamma_u=3.0)
    terms = method.losses(batch)
    losses = {
        m: torch.nn.functional.cross_entropy(x, torch.tensor([0])).detach()
        for m, x in logits.items()
    }
    share = losses['video'] / (losses['video'] + losses['audio'])
    expected = {
        Task.EXTRA: {
            'unimodal_video': 3 * losses['video'],
            'unimodal_audio': 3 * losses['audio'],
        },
        Task.ALIGNMENT: {
            'kl_video': 2
            * share
            * divergence(logits['audio'], logits['video']),
            'kl_audio': 2
            * (1 - share)
            * divergence(logits['video'], logits['audio']),
        },
    }
    assert set(terms) == set(expected)
    for task, by_name in expected.items():
        assert list(terms[task]) == list(by_name)
        for name, value in by_name.items():
            torch.testing.assert_close(terms[task][name], value)
    terms[Task.ALIGNMENT]['kl_video'].backward()
    assert logits['audio'].grad is None


def test_three_steps_stay_finite():
    wrapper = three_steps(
        build(methods=[BALGRAD]), projection=dict(type='BalGradProjection')
    )
    values = wrapper.read_diagnostics()
    assert values['alignment_grad_norm_video'] > 0
    assert 'domain_grad_norm_video' not in values


@pytest.mark.parametrize(
    ('args', 'kwargs', 'match'),
    [
        (({'video': 2}, 2), {}, r"exactly two.*\['video'\]"),
        (({**WIDTHS, 'flow': 2}, 2), {}, r'exactly two.*flow'),
        ((WIDTHS, 2), dict(beta=-1), 'got -1 and 1'),
        ((WIDTHS, 2), dict(weighting='x'), "'loss', 'uniform'.*'x'"),
    ],
)
def test_bad_arguments_are_explained(args, kwargs, match):
    with pytest.raises(ValueError, match=match):
        BalGradMethod(*args, **kwargs)


def test_missing_heads_are_explained():
    with pytest.raises(ValueError, match='BalGradMethod.*unimodal_heads'):
        build(methods=[BALGRAD], unimodal_heads=None)
