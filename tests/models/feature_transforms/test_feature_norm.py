from __future__ import annotations

import torch

from mmgmp.models.feature_transforms import (
    BaseFeatureTransform,
    FeatureContext,
)
from mmgmp.models.feature_transforms.feature_norm import FeatureNorm
from mmgmp.registry import MODELS
from mmgmp.structures import get_task_losses
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

SMALL = ('video', 'flow')


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(toy_recognizer(SMALL, **kwargs))


def test_affine_can_be_fixed():
    assert list(FeatureNorm({'a': 4}, affine=False).parameters()) == []
    assert len(list(FeatureNorm({'a': 4, 'v': 2}).parameters())) == 4


def test_it_acts_in_training_and_at_test_time():
    model = build(feature_transforms=[dict(type='FeatureNorm')])
    inputs, samples = toy_batch(modalities=SMALL)
    for feature in model.extract_feat(inputs).values():
        mean = feature.mean(1)
        torch.testing.assert_close(mean, torch.zeros(4), atol=1e-5, rtol=0)
    batch = model.forward_plan.run(model, inputs, samples)
    for feature in batch.features.values():
        assert feature.std(1, unbiased=False).min() > 0.9
    assert not torch.equal(batch.features['video'], batch.outputs['video'])
    before = model(inputs)
    torch.nn.init.zeros_(model.feature_transforms[0].norms['video'].weight)
    assert not torch.equal(model(inputs), before)


def test_its_parameters_are_no_encoder_parameters():
    plain, normed = (
        build(),
        build(feature_transforms=[dict(type='FeatureNorm')]),
    )
    for m in SMALL:
        assert len(normed.trainable_encoder_parameters()[m]) == len(
            plain.trainable_encoder_parameters()[m]
        )


def test_feature_level_sees_the_encoder_outputs():
    model = build(feature_transforms=[dict(type='FeatureNorm')])
    losses = model(*toy_batch(modalities=SMALL), mode='loss')
    total, _ = model.parse_losses(losses)
    features = get_task_losses(total).features
    gradients = torch.autograd.grad(total, list(features.values()))
    assert all(g.abs().sum() > 0 for g in gradients)
    assert features['video'].mean(1).abs().min() > 1e-4  # not normalised


@MODELS.register_module()
class _Looking(BaseFeatureTransform):
    def forward(self, features, context):
        self.context = context
        return dict(features)


def test_the_context_knows_labels_in_training_only():
    model = build(feature_transforms=[dict(type='_Looking')])
    inputs, samples = toy_batch(modalities=SMALL)
    model(inputs, samples, mode='loss')
    looking = model.feature_transforms[0]
    assert looking.context.labels.tolist() == [0, 1, 2, 0]
    shares = looking.context.contribute(model.encode(inputs))
    assert {m: x.shape for m, x in shares.items()} == dict.fromkeys(
        SMALL, (4, 3)
    )
    model.eval()(inputs, samples, mode='predict')
    assert looking.context == FeatureContext()
