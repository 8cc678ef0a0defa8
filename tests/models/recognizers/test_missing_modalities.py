from __future__ import annotations

import pytest
import torch

from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

SMALL = ('video', 'flow')
SIMMMDG = dict(
    type='SimMMDGMethod',
    projector_channels=8,
    embedding_channels=4,
    translator_channels=8,
)


def build(missing, methods=(), **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        toy_recognizer(
            SMALL, missing_modalities=missing, methods=list(methods), **kwargs
        )
    ).eval()


@pytest.mark.parametrize('transforms', [[], [dict(type='FeatureNorm')]])
def test_zeros_take_the_place_of_the_feature(transforms):
    model = build(dict(flow='zeros'), feature_transforms=transforms)
    inputs, samples = toy_batch(modalities=SMALL)
    features = model.extract_feat(inputs)
    assert list(features) == list(SMALL)
    assert (features['flow'] == 0).all()
    full = model.transform_features(model.encode(inputs))
    full['flow'] = torch.zeros_like(full['flow'])
    expected = model.cls_head(model.fusion(full)).softmax(1)
    del inputs['flow']  # not needed either
    predicted = model(inputs, samples, mode='predict')
    torch.testing.assert_close(
        torch.stack([s.pred_score for s in predicted]), expected
    )
    assert set(predicted[0].modality_scores) == set(SMALL)


def test_a_translation_takes_the_place_of_the_feature():
    model = build(dict(flow='translate'), [SIMMMDG])
    inputs, _ = toy_batch(modalities=SMALL)
    features = model.extract_feat(inputs)
    expected = model.methods[0].translators['video_to_flow'](features['video'])
    assert torch.equal(features['flow'], expected)
    assert model(inputs).shape == (4, 3)


def test_training_is_not_affected():
    inputs, samples = toy_batch(modalities=SMALL)
    losses = [
        build(missing)(inputs, samples, mode='loss')['loss_cls']
        for missing in (None, dict(flow='zeros'))
    ]
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ('missing', 'methods', 'match'),
    [
        (dict(sound='zeros'), [], r"some but not all of \['video', 'flow'\]"),
        (dict(video='zeros', flow='zeros'), [], 'some but not all'),
        (dict(flow='mean'), [], r"flow must be one of .*got 'mean'"),
        (dict(flow='translate'), [], 'needs a method with translators'),
        (
            dict(flow='translate'),
            [dict(SIMMMDG, translation_weight=0)],
            'needs a method with translators',
        ),
    ],
)
def test_bad_stand_ins_are_explained(missing, methods, match):
    with pytest.raises(ValueError, match=match):
        build(missing, methods)
