from __future__ import annotations

import pytest
import torch
from mmengine.model import MMDistributedDataParallel

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.registry import MODELS
from mmgmp.structures import Task, get_task_losses, presence_key
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

SMALL = ('video', 'flow')
GMP = dict(
    modulation=dict(type='DecoupledModulation'),
    projection=dict(type='TaskProjection'),
)


def build(modalities=SMALL, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(toy_recognizer(modalities, **kwargs))


def without_flow(inputs, samples, present):
    """The batch as the data preprocessor hands it on."""
    mask = torch.tensor(present)
    partial = {**inputs, 'flow': inputs['flow'][mask]}
    if not all(present):
        partial[presence_key('flow')] = mask
    for sample, has_flow in zip(samples, present, strict=True):
        if not has_flow:
            sample.set_metainfo({'missing_modalities': ('flow',)})
    return partial, samples


def step(model, inputs, samples, driven=None, level='parameter'):
    """One step; the logged values and what the wrapper decided."""
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), level=level, **GMP
    )
    logged = (driven or model).train_step(
        dict(inputs=inputs, data_samples=samples), wrapper
    )
    return {k: v.item() for k, v in logged.items()}, wrapper.read_diagnostics()


def test_rows_that_are_there_are_encoded_alone():
    """Batch norm in training mode: other rows would change these."""
    model = build()
    inputs, samples = toy_batch(modalities=SMALL)
    partial, _ = without_flow(inputs, samples, [True, False, True, False])
    features = model.encode(partial)['flow']
    alone = build().encoders['flow'](inputs['flow'][::2])
    assert torch.equal(features[::2], alone)
    assert not features[1::2].any()


def test_only_samples_with_the_modality_count():
    """Losses of all samples, ratios of means over those that have it."""
    model = build()
    inputs, samples = toy_batch(modalities=SMALL)
    present = [True, False, True, True]
    partial, _ = without_flow(inputs, samples, present)
    total, logged = model.parse_losses(model(partial, samples, mode='loss'))
    tasks = get_task_losses(total)
    mask = tasks.present['flow']
    assert mask.tolist() == present
    _, found = step(build(), partial, samples)
    for task, name in (
        (Task.CLASSIFICATION, 'semantic'),
        (Task.DOMAIN, 'domain'),
    ):
        video, flow = tasks.confidences[task].values()
        ratio = (video.mean() / flow[mask].mean()).item()
        expected = ratio if name == 'semantic' else 1 / ratio
        assert found[f'{name}_ratio_video'] == pytest.approx(expected)
        assert logged[f'{name}_confidence_flow'].item() == pytest.approx(
            flow[mask].mean().item()
        )


@pytest.mark.parametrize('level', ['parameter', 'feature'])
def test_no_gradient_from_a_sample_without_the_modality(level):
    """The label of a sample without does not reach the flow encoder."""
    updated = []
    for label in (0, 1):
        model = build(
            cls_head=dict(
                type='MLPClassifierHead', num_classes=3, hidden_channels=0
            ),
            domain_head=None,
        )
        inputs, samples = toy_batch(modalities=SMALL)
        samples[1].set_gt_label(label)
        partial, _ = without_flow(inputs, samples, [True, False, True, True])
        wrapper = TaskGradientOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=0.1), level=level
        )
        model.train_step(dict(inputs=partial, data_samples=samples), wrapper)
        updated.append(model.encoders['flow'].state_dict())
    for name, value in updated[0].items():
        assert torch.equal(value, updated[1][name]), name


@pytest.mark.parametrize('level', ['parameter', 'feature'])
def test_a_batch_without_the_modality_leaves_its_encoder_alone(level):
    model = build()
    before = {
        k: v.clone() for k, v in model.encoders['flow'].state_dict().items()
    }
    inputs, samples = toy_batch(modalities=SMALL)
    partial, _ = without_flow(inputs, samples, [False] * 4)
    logged, found = step(model, partial, samples, level=level)
    assert all(
        torch.equal(value, before[name])
        for name, value in model.encoders['flow'].state_dict().items()
    )
    assert found['semantic_ratio_video'] == found['domain_ratio_video'] == 1
    assert found['semantic_coefficient_video'] == 1
    assert logged['loss'] == pytest.approx(
        logged['loss_cls'] + logged['loss_domain']
    )


def test_nothing_changes_where_nothing_is_missing():
    results = []
    for mask in (False, True):
        model = build()
        inputs, samples = toy_batch(modalities=SMALL)
        if mask:
            inputs[presence_key('flow')] = torch.ones(4, dtype=torch.bool)
        results.append((step(model, inputs, samples), model.state_dict()))
    assert results[0][0] == results[1][0]
    for name, value in results[0][1].items():
        assert torch.equal(value, results[1][1][name]), name


def test_prediction_leaves_the_branch_out():
    model = build().eval()
    inputs, samples = toy_batch(modalities=SMALL)
    full = model(inputs, samples, mode='predict')
    expected = [sample.pred_score.clone() for sample in full]
    partial, _ = without_flow(inputs, samples, [True, False, True, True])
    found = model(partial, samples, mode='predict')
    branches = [list(sample.modality_scores) for sample in found]
    assert branches == [
        ['video', 'flow'],
        ['video'],
        ['video', 'flow'],
        ['video', 'flow'],
    ]
    torch.testing.assert_close(found[0].pred_score, expected[0])
    assert not torch.allclose(found[1].pred_score, expected[1])


def test_a_shifting_norm_does_not_bring_the_modality_back():
    model = build(feature_transforms=[dict(type='FeatureNorm')])
    torch.nn.init.ones_(model.feature_transforms[0].norms['flow'].bias)
    inputs, samples = toy_batch(modalities=SMALL)
    partial, _ = without_flow(inputs, samples, [True, False, True, True])
    batch = model.forward_plan.run(model, partial, samples)
    assert not batch.features['flow'][1].any()
    assert not model.eval().extract_feat(partial)['flow'][1].any()


@pytest.mark.parametrize(
    ('option', 'name'),
    [
        (dict(methods=[dict(type='RNANetMethod')]), 'RNANetMethod'),
        (
            dict(feature_transforms=[dict(type='OPMFeatureDrop')]),
            'OPMFeatureDrop',
        ),
        (
            dict(
                forward_plan=dict(type='InnerStepPlan'),
                unimodal_heads=dict(
                    type='MLPClassifierHead', num_classes=3, hidden_channels=0
                ),
            ),
            'InnerStepPlan',
        ),
    ],
)
def test_pieces_that_compare_samples_are_named(option, name):
    model = build(**option)
    inputs, samples = toy_batch(modalities=SMALL)
    partial, _ = without_flow(inputs, samples, [True, False, True, True])
    with pytest.raises(ValueError, match=rf"lack \['flow'\].*{name}"):
        model(partial, samples, mode='loss')


def test_a_modulation_of_means_is_refused():
    model = build()
    inputs, samples = toy_batch(modalities=SMALL)
    partial, _ = without_flow(inputs, samples, [True, False, True, True])
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        modulation=dict(type='AGMModulation'),
    )
    with pytest.raises(ValueError, match=r'AGMModulation.*on_missing'):
        model.train_step(dict(inputs=partial, data_samples=samples), wrapper)


def train(rank: int | None = None):
    """Two steps; on two ranks, the second has no flow in the first.

    The ranks are in tests/engine/optim/test_distributed.py.
    """
    model = build().double().eval()
    driven = (
        None
        if rank is None
        else MMDistributedDataParallel(model, device_ids=None)
    )
    part = slice(None) if rank is None else slice(2 * rank, 2 * rank + 2)
    found = []
    for seed, present in enumerate(([1, 1, 0, 0], [1, 0, 0, 1])):
        inputs, samples = toy_batch(4, SMALL, seed=seed)
        own = {m: x[part].double() for m, x in inputs.items()}
        own, samples = without_flow(
            own, samples[part], [bool(x) for x in present[part]]
        )
        found.append(step(model, own, samples, driven)[1])
    ratios = torch.tensor(
        [[numbers['semantic_ratio_video'] for numbers in found]]
    )
    return {**model.state_dict(), 'ratios': ratios}
