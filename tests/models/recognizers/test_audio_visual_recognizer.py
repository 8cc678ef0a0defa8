from __future__ import annotations

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import load_checkpoint, save_checkpoint

from mmgmp.engine.optim import GMPOptimWrapper, TaskGradientOptimWrapper
from mmgmp.registry import MODELS
from mmgmp.structures import Task, get_task_losses
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

ONE, TWO = ('video',), ('video', 'audio')
THREE = ('video', 'audio', 'flow')


def build(*args, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(toy_recognizer(*args, **kwargs))


@pytest.mark.parametrize('modalities', [ONE, TWO, THREE])
def test_three_modes(modalities):
    model = build(modalities)
    inputs, samples = toy_batch(modalities=modalities)
    assert model(inputs).shape == (4, 3)
    losses = model(inputs, samples, mode='loss')
    total, logged = model.parse_losses(losses)
    tasks = get_task_losses(total)
    assert tasks.modalities == modalities
    torch.testing.assert_close(total, sum(tasks.losses.values()))
    assert set(tasks.confidences) == {Task.CLASSIFICATION, Task.DOMAIN}
    for by_modality in tasks.confidences.values():
        for confidence in by_modality.values():
            assert confidence.shape == (4,)
            assert not confidence.requires_grad
            assert ((confidence > 0) & (confidence < 1)).all()
    assert all(not value.requires_grad for value in logged.values())
    assert {'loss', 'loss_cls', 'loss_domain', 'domain_accuracy'} <= set(
        logged
    )
    model.eval()
    for sample in model(inputs, samples, mode='predict'):
        assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-5)
        assert set(sample.modality_scores) == set(modalities)


def test_plain_risk_minimisation_has_no_domain_task():
    model = build(num_domains=None)
    total, logged = model.parse_losses(model(*toy_batch(), mode='loss'))
    assert set(get_task_losses(total).losses) == {Task.CLASSIFICATION}
    assert 'loss_domain' not in logged


def test_confidences_do_not_disturb_the_forward_pass():
    """Dropout masks, batch norms and modes are those of the losses alone."""
    model = build(
        cls_head=dict(type='MLPClassifierHead', num_classes=3, dropout=0.5)
    )
    other = copy.deepcopy(model)
    other.contributions = {}
    torch.manual_seed(1)
    losses = model(*toy_batch(), mode='loss')
    torch.manual_seed(1)
    bare = other(*toy_batch(), mode='loss')
    for name in ('loss_cls', 'loss_domain'):
        assert torch.equal(losses[name], bare[name])
    for a, b in zip(
        model.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    assert all(m.training for m in model.cls_head.modules())


def test_switched_off_equals_the_stock_wrapper_after_ten_adam_steps():
    results = []
    for kind in (OptimWrapper, TaskGradientOptimWrapper):
        model = build()
        wrapper = kind(torch.optim.Adam(model.parameters(), lr=1e-3))
        torch.manual_seed(2)
        for seed in range(10):
            inputs, data_samples = toy_batch(seed=seed)
            model.train_step(
                dict(inputs=inputs, data_samples=data_samples), wrapper
            )
        results.append(model.state_dict())
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize('level', ['parameter', 'feature'])
@pytest.mark.parametrize(
    'fusion',
    [
        'ConcatFusion',
        'SumFusion',
        'FiLMFusion',
        'ActivationFusion',
        'GatedFusion',
    ],
)
def test_gmp_takes_a_step_with_every_fusion(fusion, level):
    model = build(fusion=dict(type=fusion))
    before = copy.deepcopy(model.state_dict())
    wrapper = GMPOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-3), level=level
    )
    inputs, data_samples = toy_batch()
    model.train_step(dict(inputs=inputs, data_samples=data_samples), wrapper)
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all()
        if 'conv' in name or name.endswith('head.output.weight'):
            assert not torch.equal(parameter, before[name]), name
    assert wrapper.read_diagnostics()['domain_ratio_audio'] > 0


def test_default_contribution_follows_the_fusion():
    assert {type(c).__name__ for c in build().contributions.values()} == {
        'MaskedContribution'
    }
    film = build(fusion=dict(type='FiLMFusion'))
    assert {type(c).__name__ for c in film.contributions.values()} == {
        'ShapleyContribution'
    }
    mixed = build(
        contribution=dict(
            semantic=dict(method='masked', bias='split'), domain='shapley'
        )
    )
    assert mixed.contributions[Task.CLASSIFICATION].bias == 'split'
    kind = type(mixed.contributions[Task.DOMAIN]).__name__
    assert kind == 'ShapleyContribution'


def test_unimodal_heads_feed_the_unimodal_contribution():
    heads = dict(
        type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
    )
    model = build(
        unimodal_heads=heads,
        contribution=dict(semantic='unimodal', domain='masked'),
    ).eval()
    inputs, samples = toy_batch()
    losses = model(inputs, samples, mode='loss')
    features = model.extract_feat(inputs)
    labels = torch.cat([s.gt_label for s in samples])
    for m, head in model.unimodal_heads.items():
        expected = head(features[m]).softmax(1)[range(4), labels]
        torch.testing.assert_close(
            losses[f'semantic_confidence_{m}'], expected
        )


def test_fusion_parameters_can_join_the_modality():
    plain = build(fusion=dict(type='SumFusion'))
    joined = build(
        fusion=dict(type='SumFusion'), fusion_params_in_modality=True
    )
    for m in TWO:
        extra = len(joined.trainable_encoder_parameters()[m]) - len(
            plain.trainable_encoder_parameters()[m]
        )
        assert extra == 2


def test_reading_a_missing_modality_names_both_sides():
    inputs, samples = toy_batch()
    inputs['sound'] = inputs.pop('audio')
    with pytest.raises(
        ValueError, match=r"model.encoders names \['audio'\].*'sound'"
    ):
        build()(inputs, samples, mode='loss')


def test_a_label_outside_the_classes_names_the_key():
    inputs, samples = toy_batch(num_classes=4)
    with pytest.raises(ValueError, match='model.cls_head.num_classes'):
        build()(inputs, samples, mode='loss')


def test_a_domain_outside_the_sources_names_the_key():
    inputs, samples = toy_batch(num_domains=3)
    with pytest.raises(ValueError, match='model.domain_head.num_domains'):
        build()(inputs, samples, mode='loss')


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(encoders={}), 'model.encoders must name'),
        (dict(contribution='unimodal'), 'model.unimodal_heads'),
        (dict(contribution=dict(semantics='masked')), "'semantic'"),
        (dict(unimodal_heads=dict(video={})), 'model.unimodal_heads'),
        (
            dict(
                domain_head=dict(type='DomainDiscriminatorHead', num_domains=1)
            ),
            'domain_head=None',
        ),
    ],
)
def test_bad_models_are_explained(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)


def test_an_encoder_without_trainable_parameters_is_refused():
    config = toy_recognizer()
    config['encoders']['audio']['frozen_stages'] = 4
    with pytest.raises(ValueError, match='model.encoders'):
        MODELS.build(config)


def test_a_shared_backbone_is_refused():
    config = toy_recognizer(ONE)
    shared = MODELS.build(config['encoders']['video'])
    MODELS.register_module('_Shared', force=True, module=lambda: shared)
    config['encoders'] = dict(
        video=dict(type='_Shared'), audio=dict(type='_Shared')
    )
    with pytest.raises(ValueError, match='video and .audio share'):
        MODELS.build(config)


def test_unknown_mode_and_missing_samples():
    inputs, _ = toy_batch()
    with pytest.raises(ValueError, match="'tensor', 'loss' or 'predict'"):
        build()(inputs, [], mode='train')
    with pytest.raises(ValueError, match='data_samples must be given'):
        build()(inputs, mode='loss')


def test_weights_of_encoders_in_another_order_are_refused(tmp_path):
    """MMEngine sorts the keys of every config that it dumps."""
    trained = build(TWO)
    path = str(tmp_path / 'weights.pth')
    save_checkpoint({'state_dict': trained.state_dict()}, path)
    load_checkpoint(build(TWO), path, strict=True)
    turned = build(tuple(reversed(TWO)))
    with pytest.raises(ValueError, match='original config'):
        load_checkpoint(turned, path)
