from __future__ import annotations

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import pseudo_collate

from mmgmp.datasets.transforms.multi_view import MultiViewPipeline
from mmgmp.models.data_preprocessors import AudioVisualDataPreprocessor

MODALITIES = ('video', 'audio')


class Crop(BaseTransform):
    """A random offset that both modalities of a view share."""

    def transform(self, results):
        offset = np.random.randint(1_000_000)
        for m in MODALITIES:
            results[m]['imgs'] = results[m]['imgs'] + offset
        return results


class Shuffle(BaseTransform):
    def transform(self, results):
        results['label'] = np.random.randint(1_000_000)
        return results


def sample(index):
    return {
        'modalities': MODALITIES,
        'label': index,
        'domain_label': index % 2,
        'sample_id': str(index),
        'domain': 'human',
        **{m: dict(imgs=np.zeros((1, 2), np.float32)) for m in MODALITIES},
    }


def build(*transforms, **kwargs):
    return MultiViewPipeline(
        [*transforms, dict(type='PackMultiModalInputs')], **kwargs
    )


def test_views_are_stacked_view_by_view_by_the_stock_collate():
    pipeline = build(Crop())
    original = [sample(i) for i in range(3)]
    batch = pseudo_collate([pipeline(s) for s in original])
    preprocess = AudioVisualDataPreprocessor(
        {m: dict(type='ActionDataPreprocessor') for m in MODALITIES}
    )
    data = preprocess(batch)
    ids = [s.sample_id for s in data['data_samples']]
    assert ids == ['0', '1', '2'] * 2
    labels = torch.cat([s.gt_label for s in data['data_samples']])
    assert labels.tolist() == [0, 1, 2] * 2
    video = data['inputs']['video']
    assert video.shape == (6, 1, 2)
    assert torch.equal(video, data['inputs']['audio'])  # one view, one crop
    assert len(video[:, 0, 0].unique()) == 6
    assert all((s['video']['imgs'] == 0).all() for s in original)


def test_one_view_is_left_as_it_was():
    preprocess = AudioVisualDataPreprocessor(
        dict(video=dict(type='ActionDataPreprocessor'))
    )
    rows = [torch.zeros(1, 2)] * 3
    data = preprocess(
        dict(inputs=dict(video=rows), data_samples=['a', 'b', 'c'])
    )
    assert data['inputs']['video'].shape == (3, 1, 2)
    assert data['data_samples'] == ['a', 'b', 'c']


def test_a_view_that_is_given_up_gives_up_the_sample():
    assert build(lambda results: None)(sample(0)) is None


def test_views_with_different_labels_are_refused():
    with pytest.raises(ValueError, match='gt_label must be equal in all'):
        build(Shuffle())(sample(0))


def test_one_view_needs_no_wrapper():
    with pytest.raises(ValueError, match='num_views of MultiView.*got 1'):
        build(num_views=1)
