"""The paper's set-up: networks, data and switches at full size."""

from __future__ import annotations

import argparse
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, DictAction
from torch import nn

import mmgmp.models  # noqa: F401
from mmgmp.registry import MODELS
from mmgmp.utils.protocol import resolve_protocol
from tests.shipped import ROOT, load

WIDTHS = {'video': 2304, 'audio': 512, 'flow': 2048}
# All parameters of a backbone, and those of its last stage, in millions.
SIZES = {
    'video': (61.99, 21.44),
    'audio': (11.17, 8.39),
    'flow': (31.63, 20.21),
}
TENSORS = {'video': 1252, 'audio': 120}
GMP_EPIC = ROOT / 'configs/gmp/gmp_epic.py'
U = ROOT / 'configs/gmp/variant_u'


def build(config: Config) -> nn.Module:
    """Build on no device at all: no memory, no weights."""
    with torch.device('meta'):
        return MODELS.build(config.model.to_dict())


@cache
def default_model() -> nn.Module:
    return build(load(GMP_EPIC))


@pytest.mark.parametrize(
    ('corpus', 'train', 'val', 'test'),
    [
        ('hac', 'hac_train', 'hac_test', ['hac_train.json', 'hac_test.json']),
        ('epic', 'epic_train', 'epic_test', 'epic_test.json'),
        ('epic-clips', 'epic_train', 'epic_test', 'epic_test.json'),
    ],
)
def test_the_data_are_those_of_the_paper(corpus, train, val, test):
    config = load(ROOT / f'configs/gmp/gmp_{corpus}.py')
    assert config.train_dataloader.dataset.ann_file == f'{train}.json'
    assert config.val_dataloader.dataset.ann_file == f'{val}.json'
    assert config.test_dataloader.dataset.ann_file == test
    assert config.train_dataloader.batch_size == 16
    assert config.train_dataloader.drop_last
    assert config.auto_scale_lr.base_batch_size == 16
    assert config.train_cfg.max_epochs == 20
    assert config.optim_wrapper.optimizer == {'type': 'Adam', 'lr': 1e-4}
    assert config.default_scope == 'mmaction'


def test_the_encoders_are_those_of_the_paper():
    config = load(GMP_EPIC, modalities=['video', 'audio', 'flow'])
    for m, encoder in build(config).encoders.items():
        assert encoder.out_channels == WIDTHS[m]
        parameters = list(encoder.backbone.named_parameters())
        total = sum(p.numel() for _, p in parameters) / 1e6
        trained = {n for n, p in parameters if p.requires_grad}
        last = sum(p.numel() for _, p in parameters if p.requires_grad) / 1e6
        assert (total, last) == pytest.approx(SIZES[m], abs=0.005)
        assert all('layer4' in n for n in trained)
        if m in TENSORS:
            assert len(encoder.backbone.state_dict()) == TENSORS[m]
        assert encoder.pretrained['checkpoint'].startswith('checkpoints/')


def test_total_sizes_of_the_paper():
    """31.3 M trained parameters with heads, 2816 fused features."""
    model = default_model()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained / 1e6 == pytest.approx(31.28, abs=0.01)
    assert model.cls_head.in_channels == 2816
    assert model.cls_head.hidden[0].out_features == 256


def test_variant_u_to_the_letter():
    config = load(U / 'gmp-u-literal_epic.py')
    assert config.default_hooks.checkpoint.save_best is None
    assert config.train_cfg.max_epochs == 15
    model = build(config)
    assert model.cls_head.hidden[0].out_features == 512
    assert model.encoders.audio.layer4_init == 'random'
    assert not model.encoders.video.frozen_norm_eval
    assert model.encoders.audio.frozen_norm_eval
    assert model.encoders.video.dropout.p == 0.5
    frozen = {p.requires_grad for p in model.methods[0].parameters()}
    assert frozen == {False}
    heads = {p.requires_grad for p in model.unimodal_heads.parameters()}
    assert heads == {True}


def override(*words: str) -> Config:
    """A config with ``--cfg-options``, as the stock scripts read them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction)
    config = Config.fromfile(GMP_EPIC)
    options = parser.parse_args(['--cfg-options', *words]).cfg_options
    config.merge_from_dict(options)
    return resolve_protocol(config)


def test_weights_can_be_left_out():
    words = [f'model.encoders.{m}.pretrained=None' for m in ('video', 'audio')]
    model = build(override(*words))
    assert not any(encoder.pretrained for encoder in model.encoders.values())


def test_a_fold_and_a_modality_set_on_the_command_line():
    config = override('protocol.target=D2', 'protocol.modalities=[video,flow]')
    assert config.train_dataloader.dataset.domains == ['D1', 'D3']
    assert config.test_dataloader.dataset.domains == ['D2']
    assert config.test_dataloader.dataset.modalities == ['video', 'flow']


# Switches of docs/decisions/protocol.md: default, and the other reading.
SWITCHES = {
    'model.encoders.audio.layer4_init=random': ('pretrained', 'random'),
    'model.encoders.video.frozen_norm_eval=False': (True, False),
    'model.encoders.video.feature_dropout=0.5': (0.0, 0.5),
    'default_hooks.checkpoint.save_best=None': ('acc/top1', None),
    'optim_wrapper.optimizer.weight_decay=1e-4': (None, 1e-4),
}


def lookup(config: Config, word: str) -> Any:
    *parents, last = word.split('=')[0].split('.')
    return reduce(getattr, parents, config).get(last)


@pytest.mark.parametrize('word', SWITCHES)
def test_a_disputed_switch_is_documented_and_reachable(word):
    default, other = SWITCHES[word]
    assert lookup(override(), word) == default
    changed = override(word)
    assert lookup(changed, word) == other
    text = (ROOT / 'docs/decisions/protocol.md').read_text('utf-8')
    assert f'`{word}`' in text
    if not word.startswith('model.encoders'):
        return
    encoders = build(changed).encoders
    found = {
        'layer4_init': encoders.audio.layer4_init,
        'frozen_norm_eval': encoders.video.frozen_norm_eval,
        'feature_dropout': encoders.video.dropout.p,
    }
    assert found[word.split('=')[0].split('.')[-1]] == other


def test_a_misspelt_switch_is_an_error_with_the_choices():
    config = override('model.encoders.audio.layer4_init=rand')
    with pytest.raises(ValueError, match=r"one of \['pretrained', 'random'\]"):
        build(config)


def test_the_video_encoder_is_the_hosts_own():
    import mmaction

    host = Path(mmaction.__file__).parent / '.mim' / 'configs'
    name = 'slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb.py'
    theirs = Config.fromfile(host / 'recognition' / 'slowfast' / name)
    ours = load(GMP_EPIC)
    with torch.device('meta'):
        networks = [
            MODELS.build(backbone.to_dict())
            for backbone in (
                theirs.model.backbone,
                ours.model.encoders.video.backbone,
            )
        ]
    a, b = (
        {
            n: (type(m).__name__, m.extra_repr())
            for n, m in network.named_modules()
        }
        for network in networks
    )
    assert a == b
    assert networks[0].resample_rate == networks[1].resample_rate == 4
    assert networks[0].speed_ratio == networks[1].speed_ratio == 4
    processed = ours.model.data_preprocessor.preprocessors.video
    assert processed == theirs.model.data_preprocessor
