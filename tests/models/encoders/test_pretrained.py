from __future__ import annotations

import pytest
import torch

from mmgmp.models.encoders import ModalityEncoder
from mmgmp.models.encoders.pretrained import read_pretrained
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


def test_random_stages_keep_their_initial_values(tmp_path):
    weights = weights_of(AUDIO)
    encoder = ModalityEncoder(
        AUDIO, pretrained=save(tmp_path / 'a.pth', weights), random_stages=[4]
    )
    encoder.init_weights()
    for name, value in encoder.backbone.state_dict().items():
        is_loaded = torch.equal(value, weights[name])
        assert is_loaded is not name.startswith('layer4'), name
    norm = encoder.backbone.layer4[0].conv1.bn
    assert norm.num_batches_tracked == 0
    assert (norm.weight == 1).all()


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


class Harmful:
    def __reduce__(self):
        return print, ('unpickled',)


def test_only_harmless_files_are_read(tmp_path, capsys):
    torch.save({'state_dict': Harmful()}, tmp_path / 'a.pth')
    encoder = ModalityEncoder(AUDIO, pretrained=str(tmp_path / 'a.pth'))
    with pytest.raises(ValueError, match='weights_only'):
        encoder.init_weights()
    assert 'unpickled' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'config', [dict(prefix='a'), dict(checkpoint='a', strict=False)]
)
def test_unknown_keys_are_refused(config):
    with pytest.raises(ValueError, match='must be a path or have the keys'):
        read_pretrained(config)


@pytest.mark.parametrize('stages', [[5], [-1]])
def test_random_stages_out_of_range(stages):
    with pytest.raises(ValueError, match=r'random_stages must be in 0\.\.4'):
        ModalityEncoder(AUDIO, random_stages=stages)
