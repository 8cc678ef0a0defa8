from __future__ import annotations

import pytest
import torch

from mmgmp.models.methods.cggm_probes import CGGMProbesMethod, direction_loss
from mmgmp.structures import Task, get_task_losses
from mmgmp.testing.toy_configs import toy_batch

from .toy_methods import hand_batch
from .toy_strategies import build, three_steps

PROBES = dict(type='CGGMProbesMethod', hidden_channels=16)
WIDTHS = {'video': 2, 'audio': 3}


def test_worked_direction_loss():
    loss = direction_loss(torch.tensor([0.75, 0.25]), torch.tensor([0.8, 0.2]))
    assert loss.item() == pytest.approx(0.175)


def losses_of(model):
    total, logged = model.parse_losses(model(*toy_batch(6), mode='loss'))
    return get_task_losses(total), logged


def test_probes_never_reach_an_encoder():
    method = CGGMProbesMethod(WIDTHS, 4, hidden_channels=5)
    method.receive({'balance': torch.tensor([0.75, 0.25])})
    features = {
        m: torch.randn(6, w, requires_grad=True) for m, w in WIDTHS.items()
    }
    weight = torch.randn(4, 5, requires_grad=True)
    batch = hand_batch(features, [0, 1, 2, 3, 0, 1], output_weight=weight)
    terms = method.losses(batch)[Task.CLASSIFICATION]
    assert list(terms) == ['probe_video', 'probe_audio', 'direction']
    sum(terms.values()).backward()
    assert all(x.grad is None for x in features.values())
    assert all(p.grad is not None for p in method.parameters())


def test_the_direction_loss_turns_the_fused_layer_only():
    method = CGGMProbesMethod(WIDTHS, 4, hidden_channels=5)
    method.receive({'balance': torch.tensor([0.75, 0.25])})
    weight = torch.randn(4, 5, requires_grad=True)
    batch = hand_batch(
        {m: torch.zeros(1, w) for m, w in WIDTHS.items()},
        [0],
        output_weight=weight,
    )
    term = method.losses(batch)[Task.CLASSIFICATION]['direction']
    term.backward()
    assert weight.grad.norm() > 0
    assert all(p.grad is None for p in method.parameters())
    cosines = [
        torch.cosine_similarity(
            weight.flatten(), probe.output.weight.flatten(), dim=0
        ).item()
        for probe in method.probes.values()
    ]
    expected = 0.2 / 2 * (0.75 * (1 - cosines[0]) + 0.25 * (1 - cosines[1]))
    assert term.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('kwargs', [dict(direction='none'), dict(lambda_gm=0)])
def test_the_direction_loss_can_be_left_out(kwargs):
    method = CGGMProbesMethod(WIDTHS, 4, **kwargs)
    batch = hand_batch({m: torch.zeros(1, w) for m, w in WIDTHS.items()}, [0])
    assert 'direction' not in method.losses(batch)[Task.CLASSIFICATION]


def test_statistics_tell_which_probes_are_right():
    tasks, _ = losses_of(build(methods=[PROBES]))
    correct = tasks.statistics['probe_correct']
    assert list(correct) == ['video', 'audio']
    for values in correct.values():
        assert values.shape == (6,)
        assert set(values.tolist()) <= {0.0, 1.0}


def test_before_the_first_step_the_direction_loss_is_zero_then_it_is_told():
    model = build(methods=[PROBES], unimodal_heads=None)
    assert losses_of(model)[1]['loss_cls_direction'] == 0
    wrapper = three_steps(
        model,
        modulation=dict(type='CGGMModulation', coeff_range=(0, 2)),
        clip_grad=dict(max_norm=0.8),
    )
    balance = model.methods[0].balance
    assert torch.equal(balance, wrapper.modulation.last_balance.float())
    assert losses_of(model)[1]['loss_cls_direction'] != 0
    twin = build(methods=[PROBES], unimodal_heads=None)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.methods[0].balance, balance)


def test_output_layers_of_other_shapes_are_explained():
    model = build(methods=[dict(PROBES, hidden_channels=8)])
    with pytest.raises(ValueError, match=r'\(3, 8\).*\(3, 16\).*cls_head'):
        losses_of(model)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(direction='gradient'), "'weight', 'none'.*'gradient'"),
        (dict(lambda_gm=-1), 'lambda_gm must be >= 0, got -1'),
    ],
)
def test_bad_arguments_are_explained(kwargs, match):
    with pytest.raises(ValueError, match=match):
        CGGMProbesMethod(WIDTHS, 4, **kwargs)


def test_a_probe_without_finite_logits_is_neither_right_nor_wrong():
    method = CGGMProbesMethod(WIDTHS, 4, hidden_channels=5)
    features = {m: torch.ones(2, w) for m, w in WIDTHS.items()}
    features['audio'][1] = float('nan')
    correct = method.statistics(hand_batch(features, [0, 1]))['probe_correct']
    assert correct['video'].isfinite().all()
    assert correct['audio'].isnan().tolist() == [False, True]


def test_the_model_names_the_probes_as_not_to_be_clipped():
    model = build(methods=[PROBES], unimodal_heads=None)
    total, _ = model.parse_losses(model(*toy_batch(6), mode='loss'))
    probes = {id(p) for p in model.methods[0].probes.parameters()}
    assert {id(p) for p in get_task_losses(total).unclipped} == probes
