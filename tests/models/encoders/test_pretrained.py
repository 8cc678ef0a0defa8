from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.models.encoders import ModalityEncoder
from mmgmp.models.encoders.pretrained import (
    read_pretrained,
    read_weights,
)
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_recognizer, toy_slowfast

AUDIO = dict(type='ResNet', depth=18, in_channels=1)


def weights_of(config, seed=1):
    torch.manual_seed(seed)
    state = ModalityEncoder(config).backbone.state_dict()
    return {
        name: torch.rand_like(value)
        if value.is_floating_point()
        else value + 7
        for name, value in state.items()
    }


def save(path, weights, prefix='backbone.', **more):
    named = {f'{prefix}{name}': value for name, value in weights.items()}
    torch.save({'meta': {}, 'state_dict': {**named, **more}}, path)
    return dict(checkpoint=str(path), prefix=prefix)


@pytest.mark.parametrize('config', [AUDIO, toy_slowfast()])
@pytest.mark.parametrize('channels_last', [False, True])
def test_every_tensor_is_loaded(config, channels_last, tmp_path):
    weights = weights_of(config)
    pretrained = save(
        tmp_path / 'a.pth',
        weights,
        **{'cls_head.fc_cls.weight': torch.ones(2)},
    )
    encoder = ModalityEncoder(
        config,
        frozen_stages=3,
        channels_last=channels_last,
        pretrained=pretrained,
    )
    encoder.init_weights()
    state = encoder.backbone.state_dict()
    assert set(state) == set(weights)
    assert all(torch.equal(state[name], weights[name]) for name in weights)
    trained = {n for n, p in encoder.named_parameters() if p.requires_grad}
    assert trained
    assert all('layer4' in name for name in trained)


def test_the_model_hands_its_encoders_their_weights(tmp_path):
    """Through ``init_weights`` of the whole model, as the runner calls it."""
    weights = weights_of(AUDIO)
    config = toy_recognizer(('audio',))
    config['encoders']['audio']['pretrained'] = save(
        tmp_path / 'a.pth', weights
    )
    model = MODELS.build(config)
    model.init_weights()
    state = model.encoders['audio'].backbone.state_dict()
    assert all(torch.equal(state[name], weights[name]) for name in weights)


def test_building_needs_no_file():
    """A test of a trained model does not want the weights it began with."""
    encoder = ModalityEncoder(AUDIO, pretrained='none.pth')
    with pytest.raises(FileNotFoundError, match='data_prep/checkpoints'):
        encoder.init_weights()


@pytest.mark.parametrize('config', [AUDIO, toy_slowfast()])
def test_a_random_layer4_keeps_its_initial_values(config, tmp_path):
    weights = weights_of(config)
    encoder = ModalityEncoder(
        config,
        frozen_stages=3,
        pretrained=save(tmp_path / 'a.pth', weights),
        layer4_init='random',
    )
    encoder.init_weights()
    for name, value in encoder.backbone.state_dict().items():
        is_loaded = torch.equal(value, weights[name])
        assert is_loaded is ('layer4.' not in name), name
    for name, module in encoder.backbone.named_modules():
        if isinstance(module, nn.BatchNorm2d) and 'layer4' in name:
            assert module.num_batches_tracked == 0
            assert (module.weight == 1).all()


def test_a_random_layer4_needs_no_checkpoint():
    ModalityEncoder(AUDIO, layer4_init='random').init_weights()


def test_plain_tensors_without_prefix(tmp_path):
    weights = weights_of(AUDIO)
    torch.save(weights, tmp_path / 'a.pth')
    encoder = ModalityEncoder(AUDIO, pretrained=str(tmp_path / 'a.pth'))
    encoder.init_weights()
    assert torch.equal(
        encoder.backbone.conv1.conv.weight, weights['conv1.conv.weight']
    )


def test_old_files_do_not_count_batches(tmp_path):
    weights = {
        name: value
        for name, value in weights_of(AUDIO).items()
        if 'num_batches_tracked' not in name
    }
    encoder = ModalityEncoder(
        AUDIO, pretrained=save(tmp_path / 'a.pth', weights)
    )
    encoder.init_weights()


def test_all_mismatches_are_listed_and_nothing_is_loaded(tmp_path):
    weights = weights_of(AUDIO)
    weights['layer9.weight'] = weights.pop('layer1.0.conv1.conv.weight')
    weights['conv1.conv.weight'] = torch.ones(64, 3, 7, 7)
    encoder = ModalityEncoder(
        AUDIO, pretrained=save(tmp_path / 'a.pth', weights)
    )
    before = encoder.backbone.layer2[0].conv1.bn.weight.clone()
    with pytest.raises(ValueError, match='must hold exactly') as caught:
        encoder.init_weights()
    message = str(caught.value)
    assert '1 missing: layer1.0.conv1.conv.weight;' in message
    assert '1 unexpected: layer9.weight;' in message
    assert 'conv1.conv.weight (64, 3, 7, 7) for (64, 1, 7, 7)' in message
    assert torch.equal(encoder.backbone.layer2[0].conv1.bn.weight, before)


def test_a_prefix_that_matches_nothing_is_an_error(tmp_path):
    pretrained = save(tmp_path / 'a.pth', weights_of(AUDIO), prefix='audnet.')
    encoder = ModalityEncoder(
        AUDIO, pretrained=dict(pretrained, prefix='backbone.')
    )
    with pytest.raises(ValueError, match=r"start with \['audnet'\]"):
        encoder.init_weights()


@pytest.mark.parametrize('is_zip', [True, False])
def test_a_file_cut_anywhere_is_named(tmp_path, is_zip):
    path = tmp_path / 'a.pth'
    content = {'state_dict': {f'conv{i}': torch.ones(9) for i in range(4)}}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        with pytest.raises(OSError, match=r'a\.pth must be a whole check'):
            read_weights(str(path))


class Harmful:
    def __reduce__(self):
        return print, ('unpickled',)


def test_only_harmless_files_are_read(tmp_path, capsys):
    torch.save({'state_dict': Harmful()}, tmp_path / 'a.pth')
    encoder = ModalityEncoder(AUDIO, pretrained=str(tmp_path / 'a.pth'))
    with pytest.raises(OSError, match='holds builtins.print, which no'):
        encoder.init_weights()
    assert 'unpickled' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'config', [dict(prefix='a'), dict(checkpoint='a', strict=False)]
)
def test_unknown_keys_are_refused(config):
    with pytest.raises(ValueError, match='must be a path or have the keys'):
        read_pretrained(config)


@pytest.mark.parametrize('value', ['kaiming', None, [4]])
def test_an_unknown_layer4_init_lists_the_choices(value):
    message = r"layer4_init must be one of \['pretrained', 'random'\], got"
    with pytest.raises(ValueError, match=message):
        ModalityEncoder(AUDIO, layer4_init=value)


def test_a_backbone_without_layer4_cannot_keep_it_random():
    shallow = dict(type='ResNet', depth=18, num_stages=3, out_indices=(2,))
    shallow.update(strides=(1, 2, 2), dilations=(1, 1, 1))
    ModalityEncoder(shallow)
    with pytest.raises(ValueError, match=r'needs a backbone .*, got ResNet;'):
        ModalityEncoder(shallow, layer4_init='random')


def test_the_package_brings_weights_along():
    weights = read_weights('mmgmp://mini-hac_audio.pth')
    assert weights['conv1.conv.weight'].dtype == torch.float16
    with pytest.raises(FileNotFoundError, match='no-such'):
        read_weights('mmgmp://no-such.pth')
    with pytest.raises(FileNotFoundError, match='version'):
        read_weights('mmgmp://../version.py')
