"""Configs that strangers may have put into a checkpoint."""

from __future__ import annotations

import copy
import sys

import pytest
from mmengine.config import Config

from mmgmp.apis.stored_config import stored_config
from mmgmp.utils.config_data import CONFIG_KEY, config_to_text
from tests.shipped import GMP


@pytest.fixture(scope='module')
def shipped():
    return Config.fromfile(GMP).to_dict()


def stored(config):
    text = config_to_text(config)
    return stored_config({'meta': {CONFIG_KEY: text}}, 'a.pth')


def test_what_inference_builds_is_taken_and_nothing_else(shipped):
    config = copy.deepcopy(shipped)
    config['custom_imports'] = dict(imports=['antigravity'])
    config['load_from'] = 'https://example.com/a.pth'
    taken = stored(config)
    assert set(taken) == {'model', 'test_dataloader'}
    assert set(taken.test_dataloader.dataset) == {'pipeline'}
    pipeline = shipped['test_dataloader']['dataset']['pipeline']
    assert taken.test_dataloader.dataset.pipeline == pipeline
    assert list(taken.model.encoders) == ['video', 'audio']


def test_nothing_is_fetched(shipped):
    config = copy.deepcopy(shipped)
    encoder = config['model']['encoders']['video']
    encoder['pretrained'] = dict(checkpoint='https://example.com/a.pth')
    encoder['backbone']['init_cfg'] = dict(
        type='Pretrained', checkpoint='/etc/passwd'
    )
    encoder['backbone']['depth'] = 'https://example.com'
    with pytest.raises(ValueError, match="nothing, got depth='https"):
        stored(config)
    encoder['backbone']['depth'] = 18
    taken = stored(config).model.encoders.video
    assert taken.pretrained is None
    assert taken.backbone.init_cfg is None


@pytest.mark.parametrize(
    'name',
    [
        'antigravity',
        'os.system',
        'mmengine.load',
        'mmengine.fileio.load',
        'antigravity.ResNet',
        'torchvision.resnet18',
        ['ResNet'],
        None,
    ],
)
@pytest.mark.parametrize('place', ['type', 'norm', 'pipeline'])
def test_types_are_names_of_registered_classes(name, place, shipped):
    config = copy.deepcopy(shipped)
    backbone = config['model']['encoders']['audio']['backbone']
    if place == 'type':
        backbone['type'] = name
    elif place == 'norm':
        backbone['more'] = [{'norm_cfg': {'type': name}}]
    else:
        config['test_dataloader']['dataset']['pipeline'][0] = {'type': name}
    with pytest.raises(ValueError, match=r'a\.pth must name registered class'):
        stored(config)
    assert 'antigravity' not in sys.modules


def test_a_foreign_scope_is_refused(shipped):
    config = copy.deepcopy(shipped)
    config['model']['_scope_'] = 'antigravity'
    with pytest.raises(ValueError, match="got _scope_='antigravity'"):
        stored(config)
    config['model']['_scope_'] = 'mmaction'
    config['model']['encoders']['audio']['backbone']['type'] = (
        'mmaction.ResNet'
    )
    assert stored(config)


@pytest.mark.parametrize(
    'checkpoint',
    [{}, [], {'meta': 3}, {'meta': {CONFIG_KEY: 3}}],
)
def test_a_file_without_one_asks_for_it(checkpoint):
    with pytest.raises(ValueError, match=r'got none; name the config .*model'):
        stored_config(checkpoint, 'a.pth')


@pytest.mark.parametrize(
    'config', [{}, {'model': {}}, {'model': {}, 'test_dataloader': 3}]
)
def test_another_config_is_refused(config):
    with pytest.raises(ValueError, match='must be a training config'):
        stored(config)
