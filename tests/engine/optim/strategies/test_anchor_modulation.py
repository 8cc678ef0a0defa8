"""InfoReg and RedReg: hand-computed cases, and an encoder that is held."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from mmgmp.engine.optim import AnchorModulation, TaskGradientOptimWrapper
from mmgmp.structures import Task, TaskLosses
from tests.engine.optim.toy import ToyModel, toy_data

from .toy_strategies import signals


def pulled(scores, epoch=0, gradient=(1.0, 0.0), unit=1.0, **options):
    """Gradients after a drift from (0, 0) to (1, 2), and the modulation."""
    modalities = ('video', 'audio', 'flow')[: len(scores)]
    weights = {
        m: torch.nn.Parameter(torch.zeros(1, 2, dtype=torch.double))
        for m in modalities
    }
    modulation = AnchorModulation(fisher_window=None, **options)
    loss = sum(w.sum() for w in weights.values())
    modulation.observe(
        TaskLosses(
            {Task.CLASSIFICATION: loss},
            {m: [w] for m, w in weights.items()},
            {Task.CLASSIFICATION: {m: torch.zeros(1) for m in modalities}},
        )
    )
    seen = signals(
        (1.0,) * len(scores), epoch, true_class_probability=list(scores)
    )
    seen = dataclasses.replace(seen, unit=unit)
    for drift in ([0.0, 0.0], [1.0, 2.0]):
        gradients = {
            m: torch.tensor([gradient], dtype=torch.double) for m in modalities
        }
        for w in weights.values():
            w.data = torch.tensor([drift], dtype=torch.double)
        modulation.finalize(
            {m: [(w, gradients[m])] for m, w in weights.items()}, seen
        )
    return [g[0].tolist() for g in gradients.values()], modulation


def test_inforeg_by_hand():
    (leader, other), _ = pulled((0.8, 0.4), kappa=0.95)
    assert leader == pytest.approx([2.389099, 2.778199], abs=1e-6)
    assert other == [1.0, 0.0]


def test_the_pull_is_in_the_unit_of_the_gradients():
    (leader, other), _ = pulled(
        (0.8, 0.4), gradient=(8.0, 0.0), unit=8.0, kappa=0.95
    )
    expected = [8 * 2.389099, 8 * 2.778199]
    assert leader == pytest.approx(expected, abs=1e-5)
    assert other == [8.0, 0.0]


def test_redreg_by_hand():
    options = dict(pull='orthogonal', kappa=1.0, slope=0.9)
    (leader, other), _ = pulled((0.8, 0.4), **options)
    assert leader == pytest.approx([1.0, 2.815391], abs=1e-6)
    assert other == [1.0, 0.0]


def test_without_a_gradient_all_of_the_drift_pulls():
    options = dict(pull='orthogonal', kappa=1.0, slope=0.0)
    (leader, _), _ = pulled((0.8, 0.4), gradient=(0.0, 0.0), **options)
    assert leader == [1.0, 2.0]


def test_nobody_is_held_on_a_tie_or_alone():
    for scores in ((0.5, 0.5), (0.5,), (0.2, 0.5, 0.5)):
        gradients, _ = pulled(scores)
        assert gradients == [[1.0, 0.0]] * len(scores)


def test_of_three_the_gap_is_to_the_mean_of_the_others():
    kappa = {'video': 9.0, 'audio': 0.5, 'flow': 9.0}
    gradients, _ = pulled((0.4, 0.9, 0.2), kappa=kappa)
    beta = 0.5 * math.exp(math.tanh(0.6))
    assert gradients[1] == pytest.approx([1 + beta, 2 * beta])
    assert gradients[0] == gradients[2] == [1.0, 0.0]


def test_a_new_epoch_has_a_new_anchor():
    _, modulation = pulled((0.8, 0.4), epoch=0)
    assert modulation.anchor['video'][0].tolist() == [[0.0, 0.0]]
    seen = signals(epoch=1, true_class_probability=(0.8, 0.4))
    gradient = torch.zeros(1, 2, dtype=torch.double)
    parameter = modulation._encoders['video'][0]
    modulation.finalize({'video': [(parameter, gradient)], 'audio': []}, seen)
    assert not gradient.any()
    assert modulation.anchor['video'][0].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ('traces', 'expected'),
    [
        ([], 1),
        ([1.0], 1),
        ([1.0, 2.0], 1),
        ([1.0, 1.04], 0),
        ([2.0, 1.0], 0),
        # Means of three: 2 and 1.9, then 2.1 and 1.9.
        ([1.7, 2.0, 2.0, 2.0], 0),
        ([1.7, 2.0, 2.0, 2.3], 1),
    ],
)
def test_the_window_is_open_while_the_fisher_trace_grows(traces, expected):
    modulation = AnchorModulation(fisher_window=3)
    modulation.fisher_history = [
        torch.tensor([t, 1.0], dtype=torch.double) for t in traces
    ]
    assert modulation._is_open(signals())[0] == expected


def train(steps, state=None, **options):
    torch.manual_seed(0)
    model = ToyModel()
    model.double()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.3),
        modulation=AnchorModulation(fisher_window=None, **options),
    )
    if state is not None:
        model.load_state_dict(state[0])
        wrapper.load_state_dict(state[1])
    for seed in steps:
        wrapper.update_params(model.loss(toy_data(8, seed=seed)))
    return model.state_dict(), wrapper.state_dict()


@pytest.mark.parametrize('pull', ['drift', 'orthogonal'])
def test_a_run_resumed_within_an_epoch_keeps_the_anchor(pull):
    half = train(range(2), pull=pull)
    whole, _ = train(range(4), pull=pull)
    resumed, _ = train(range(2, 4), half, pull=pull)
    assert all(torch.equal(value, resumed[k]) for k, value in whole.items())
    free, _ = train(range(4), start_epoch=1)
    assert any(not torch.equal(value, free[k]) for k, value in whole.items())


@pytest.mark.parametrize(
    'options',
    [
        dict(kappa=0.0),
        dict(slope=-1.0),
        dict(fisher_window=0),
        dict(kappa={'video': -1.0}),
    ],
)
def test_bad_options(options):
    with pytest.raises(ValueError, match='kappa must be > 0, slope >= 0'):
        AnchorModulation(**options)


def test_kappa_must_name_every_modality():
    with pytest.raises(ValueError, match="without .'audio'."):
        pulled((0.8, 0.4), kappa={'video': 1.0})
    with pytest.raises(ValueError, match="pull must be .*'push'"):
        AnchorModulation(pull='push')
