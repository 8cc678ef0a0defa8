"""A config that MMEngine has written out again means the same.

``Config.dump`` sorts the keys of every dict: the copy in a work directory,
and what ``mim gridsearch`` trains.
"""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from mmgmp.datasets import AudioVisualDataset, MultiModalPipeline
from mmgmp.models.recognizers import AudioVisualRecognizer
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_recognizer
from tests.shipped import ROOT, load

CONFIGS = (
    ('gmp_mini-hac', ['video', 'audio']),
    ('gmp_hac', ['video', 'audio', 'flow']),
    ('gmp_epic', ['video', 'flow']),
    ('gmp_epic-clips', ['video', 'audio']),
)


@pytest.mark.parametrize(('name', 'modalities'), CONFIGS)
def test_orders_survive(name, modalities, tmp_path):
    config = load(ROOT / f'configs/gmp/{name}.py', modalities=modalities)
    config.dump(tmp_path / 'config.py')
    dumped = Config.fromfile(tmp_path / 'config.py')
    orders = []
    for cfg in (config, dumped):
        with torch.device('meta'):
            model = MODELS.build(cfg.model.to_dict())
        options = cfg.train_dataloader.dataset.to_dict()
        options.pop('type')
        dataset = AudioVisualDataset(**options, lazy_init=True)
        lists = dataset.pipeline.transforms[0].pipelines
        orders.append((model.modalities, model.fusion.in_channels, lists))
    assert list(dumped.model.encoders) == sorted(dumped.model.encoders)
    (ours, widths, lists), (theirs, their_widths, their_lists) = orders
    assert ours == theirs
    assert list(widths.items()) == list(their_widths.items())
    assert list(lists) == list(their_lists)
    assert ours == tuple(m for m in ('video', 'audio', 'flow') if m in ours)


def test_the_order_is_that_of_the_encoders_without_an_option():
    config = toy_recognizer(('flow', 'audio'), num_domains=None)
    assert MODELS.build(config).modalities == ('flow', 'audio')
    config['modality_order'] = ['audio', 'flow']
    assert MODELS.build(config).modalities == ('audio', 'flow')
    config['encoders']['audio'] = None
    assert MODELS.build(config).modalities == ('flow',)


@pytest.mark.parametrize('order', [['audio'], ['audio', 'flow', 'video']])
def test_an_order_must_name_every_encoder(order):
    config = toy_recognizer(('flow', 'audio'))
    config.pop('type')
    with pytest.raises(ValueError, match='model.modality_order must name'):
        AudioVisualRecognizer(**config, modality_order=order)


@pytest.mark.parametrize('order', [['audio'], ['audio', 'audio']])
def test_an_order_must_name_every_list(order):
    with pytest.raises(ValueError, match='order of MultiModalPipeline'):
        MultiModalPipeline(order=order, audio=[], video=[])
