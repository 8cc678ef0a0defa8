from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import MessageHub

from mmgmp.models.feature_transforms import FeatureContext
from mmgmp.models.feature_transforms.opm_feature_drop import OPMFeatureDrop
from mmgmp.registry import MODELS
from mmgmp.structures import Task, get_task_losses
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer
from tests.processes import run_ranks

WIDTHS = {'video': 2304, 'audio': 512}
NOW = dict(warmup_epochs=0)


def test_worked_probabilities():
    drop = OPMFeatureDrop(WIDTHS)
    rates = drop.probabilities(torch.tensor([8.0, 4.0]))
    assert rates.tolist() == pytest.approx([0.690399, 0], abs=1e-6)
    kept = drop.kept_share(rates)
    assert 1 - kept.item() == pytest.approx(0.564872, abs=1e-6)
    assert 1 / kept.item() == pytest.approx(2.298172, abs=1e-5)


def test_equal_confidences_drop_nothing():
    drop = OPMFeatureDrop(WIDTHS)
    assert drop.probabilities(torch.tensor([4.0, 4.0])).tolist() == [0, 0]
    three = OPMFeatureDrop({'a': 1, 'b': 1, 'c': 1})
    assert three.probabilities(torch.full((3,), 0.1)).tolist() == [0, 0, 0]


def test_probabilities_are_clipped():
    drop = OPMFeatureDrop(WIDTHS, mu=4.0)
    lead = 1 + math.atanh(0.761594)
    rates = drop.probabilities(torch.tensor([lead, 1.0]))
    assert rates.tolist() == [1, 0]
    assert 1 - drop.kept_share(rates).item() == pytest.approx(0.818182)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=4),
    st.floats(0, 10),
)
def test_somebody_always_stays(sums, mu):
    widths = {str(index): index + 1 for index in range(len(sums))}
    drop = OPMFeatureDrop(widths, mu=mu)
    rates = drop.probabilities(torch.tensor(sums))
    assert ((rates >= 0) & (rates <= 1)).all()
    assert rates[torch.tensor(sums).argmin()] == 0
    assert drop.kept_share(rates) > 0


def context(labels, video, audio):
    """Shares that give the true class the probabilities asked for."""
    shares = {
        m: torch.tensor([[p, 1 - p]] * labels).log()
        for m, p in (('video', video), ('audio', audio))
    }
    return FeatureContext(
        torch.zeros(labels, dtype=torch.long), lambda f: shares
    )


def features(count=4000):
    return {
        'video': torch.ones(count, 2, requires_grad=True),
        'audio': torch.ones(count, 1, requires_grad=True),
    }


def test_only_the_leader_is_dropped_and_the_rest_is_scaled():
    drop = OPMFeatureDrop({'video': 2, 'audio': 1}, p_exe=1.0, **NOW)
    given_features = features()
    result = drop(given_features, context(4000, 0.8, 0.4))
    rates = drop.probabilities(torch.tensor([0.8, 0.4]))
    scale = 1 / drop.kept_share(rates)
    torch.testing.assert_close(
        result['audio'], torch.full((4000, 1), scale.item())
    )
    kept = result['video'][:, 0] > 0
    assert 1 - kept.float().mean() == pytest.approx(rates[0].item(), abs=0.03)
    assert torch.equal(result['video'][:, 0], result['video'][:, 1])
    result['video'].sum().backward()
    gradient = given_features['video'].grad[:, 0]
    torch.testing.assert_close(gradient, kept * scale)


def test_a_share_of_the_batches_is_left_alone():
    drop = OPMFeatureDrop({'video': 2, 'audio': 1}, p_exe=0.7, **NOW)
    touched = [
        not torch.equal(
            drop(features(1), context(1, 0.8, 0.4))['audio'],
            torch.ones(1, 1),
        )
        for _ in range(300)
    ]
    assert sum(touched) / 300 == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize('reason', ['eval', 'no-labels', 'warm-up'])
def test_otherwise_it_is_the_identity(reason):
    drop = OPMFeatureDrop({'video': 2, 'audio': 1}, p_exe=1.0, q_base=1.0)
    drop.train(reason != 'eval')
    hub = MessageHub.get_current_instance()
    hub.update_info('epoch', 5 if reason == 'warm-up' else 6)
    known = context(8, 0.8, 0.4)
    before = features(8)
    try:
        after = drop(
            before, FeatureContext() if reason == 'no-labels' else known
        )
        drop.train()
        hub.update_info('epoch', 6)
        acting = drop(before, known)
    finally:
        hub.update_info('epoch', 0)
    for modality, x in before.items():
        assert after[modality] is x
    assert acting['video'].sum() == 0


def build(**kwargs):
    torch.manual_seed(0)
    opm = dict(type='OPMFeatureDrop', p_exe=1.0, q_base=1.0, **NOW)
    return MODELS.build(
        toy_recognizer(
            contribution=dict(
                semantic=dict(type='MaskedContribution', bias='split')
            ),
            feature_transforms=[dict(opm, **kwargs)],
        )
    )


def share_dropped(model, **kwargs):
    batch = model.forward_plan.run(model, *toy_batch(6))
    dropped = [m for m, x in batch.features.items() if x.abs().sum() == 0]
    assert len(dropped) == 1
    return batch, dropped[0]


def test_confidences_are_those_of_the_unmasked_features():
    model = build()
    inputs, samples = toy_batch(6)
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    masked = get_task_losses(total).confidences
    model.feature_transforms[0].p_exe = 0.0
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    for task, by_modality in get_task_losses(total).confidences.items():
        for modality, values in by_modality.items():
            torch.testing.assert_close(masked[task][modality], values)


@pytest.mark.parametrize('affects', [('cls', 'domain'), ('cls',)])
def test_the_discriminator_sees_dropped_features_or_not(affects):
    model = build(affects=affects)
    batch, dropped = share_dropped(model)
    gradients = torch.autograd.grad(
        batch.domain_logits.square().sum(), list(batch.outputs.values())
    )
    reached = {
        m: bool(g.abs().sum() > 0)
        for m, g in zip(batch.outputs, gradients, strict=True)
    }
    assert reached[dropped] is (affects == ('cls',))


def test_prediction_is_untouched():
    model = build().eval()
    inputs, samples = toy_batch(6)
    logits = model(inputs)
    bare = MODELS.build(toy_recognizer()).eval()
    bare.load_state_dict(model.state_dict())
    assert torch.equal(logits, bare(inputs))
    assert len(model(inputs, samples, mode='predict')) == 6


def test_three_steps_with_ogm_stay_finite():
    from mmgmp.engine.optim import TaskGradientOptimWrapper

    model = build(q_base=0.5)
    wrapper = TaskGradientOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-3),
        dict(type='OGMModulation', noise=True),
    )
    for seed in range(3):
        inputs, data_samples = toy_batch(6, seed=seed)
        model.train_step(
            dict(inputs=inputs, data_samples=data_samples), wrapper
        )
    assert all(p.isfinite().all() for p in model.parameters())


def rates_of_rank(rank: int, world_size: int):
    """Audio leads on rank 0, video on rank 1 and over both."""
    drop = OPMFeatureDrop({'video': 2, 'audio': 1}, p_exe=1.0, **NOW)
    seen = []
    probabilities = drop.probabilities
    drop.probabilities = lambda s: seen.append(probabilities(s)) or seen[0]
    torch.manual_seed(rank)
    drop(features(8), context(8, *((0.2, 0.4), (0.9, 0.3))[rank]))
    return seen[0]


def test_ranks_use_the_same_probabilities(tmp_path):
    first, second = run_ranks(rates_of_rank, 2, tmp_path / 'ranks')
    assert torch.equal(first, second)
    expected = OPMFeatureDrop({'video': 2, 'audio': 1}).probabilities(
        torch.tensor([1.1, 0.7])
    )
    torch.testing.assert_close(first, expected)


@pytest.mark.parametrize(
    ('widths', 'kwargs', 'match'),
    [
        ({'video': 2}, {}, r"compares modalities.*\['video'\]"),
        (WIDTHS, dict(q_base=1.5), r'q_base must be in \[0, 1\], got 1.5'),
        (WIDTHS, dict(p_exe=-0.1), 'p_exe'),
        (WIDTHS, dict(mu=-1), 'mu and warmup_epochs'),
        (WIDTHS, dict(affects=('domain',)), r"affects.*got \('domain',\)"),
    ],
)
def test_bad_arguments_are_explained(widths, kwargs, match):
    with pytest.raises(ValueError, match=match):
        OPMFeatureDrop(widths, **kwargs)


def test_it_must_come_last():
    with pytest.raises(ValueError, match='must end with.*OPMFeatureDrop'):
        MODELS.build(
            toy_recognizer(
                feature_transforms=[
                    dict(type='OPMFeatureDrop'),
                    dict(type='FeatureNorm'),
                ]
            )
        )
    assert Task.DOMAIN in OPMFeatureDrop(WIDTHS).tasks
