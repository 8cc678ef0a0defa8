"""The paper's set-up: every full-size config says what its name says."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, DictAction
from torch import nn

import mmgmp.engine
import mmgmp.evaluation
import mmgmp.models  # noqa: F401
from mmgmp.datasets import AudioVisualDataset
from mmgmp.engine.optim import GMPOptimWrapperConstructor
from mmgmp.registry import METRICS, MODELS

ROOT = Path(__file__).resolve().parents[2] / 'configs'
NAME = re.compile(
    r'(?P<algorithm>[a-z0-9-]+)_(?P<encoders>[a-z0-9-]+)_1xb16-'
    r'(?:(?P<fusion>[a-z]+)-)?(?P<epochs>\d+)e'
    r'_(?P<corpus>hac|epic|epic-clips)-(?P<sources>[hacd123]+)-to-'
    r'(?P<target>[hacd123]+)'
)
DOMAINS = {'h': 'human', 'a': 'animal', 'c': 'cartoon'}
FUSIONS = {
    'concat': 'ConcatFusion',
    'sum': 'SumFusion',
    'film': 'FiLMFusion',
    'activation': 'ActivationFusion',
}
ENCODERS = {'slowfast-r101': 'video', 'r18': 'audio', 'slowonly-r50': 'flow'}
WIDTHS = {'video': 2304, 'audio': 512, 'flow': 2048}
# All parameters of a backbone, and those of its last stage, in millions.
SIZES = {
    'video': (61.99, 21.44),
    'audio': (11.17, 8.39),
    'flow': (31.63, 20.21),
}
TENSORS = {'video': 1252, 'audio': 120}
# Modulation and projection by row of Table 4.
RULES = {
    'full': ('DecoupledModulation', 'cagp'),
    'igdm-only': ('DecoupledModulation', None),
    'cagp-only': (None, 'cagp'),
    'unified': ('UnifiedModulation', None),
    'no-k': ('DecoupledModulation', None),
    'no-p': ('DecoupledModulation', None),
    'fixed-class': (None, 'fixed_class'),
    'fixed-domain': (None, 'fixed_domain'),
    'pcgrad': (None, 'pcgrad'),
    'reverse': (None, 'reverse'),
    'base': (None, None),
    'erm': (None, None),
    'uni-video': (None, None),
    'uni-audio': (None, None),
    'gmp': ('DecoupledModulation', 'cagp'),
}
FULL_SIZE = sorted(
    path
    for metafile in ROOT.glob('*/metafile.yml')
    for path in metafile.parent.rglob('*.py')
    if 'mini-hac' not in path.name
)


def families() -> dict[str, list[Path]]:
    """Configs that differ in their domains only."""
    grouped = defaultdict(list)
    for path in FULL_SIZE:
        found = NAME.fullmatch(path.stem)
        if found is None:
            continue  # said by a test of its own
        is_single = 'single_source' in path.parts
        corpus = found['corpus']
        family = path.stem[: -len(path.stem[found.start('corpus') :])]
        grouped[f'{family}{corpus}{"-single" * is_single}'].append(path)
    return dict(grouped)


FAMILIES = families()


@pytest.fixture(scope='module', autouse=True)
def temporary_files_in_memory() -> Iterator[None]:
    """MMEngine copies each config and its bases to a temporary folder."""
    before = tempfile.tempdir
    if Path('/dev/shm').is_dir():
        tempfile.tempdir = '/dev/shm'
    yield
    tempfile.tempdir = before


@cache
def load(path: Path) -> Config:
    return Config.fromfile(path)


@cache
def build(text: str) -> nn.Module:
    """Build on no device at all: no memory, no weights."""
    with torch.device('meta'):
        return MODELS.build(json.loads(text))


def model_of(config: Config) -> nn.Module:
    return build(json.dumps(config.model.to_dict()))


def domains_of(corpus: str, letters: str) -> list[str]:
    if corpus == 'hac':
        return [DOMAINS[letter] for letter in letters]
    return [f'D{number}' for number in letters.removeprefix('d')]


def test_names_follow_the_pattern():
    assert [p.name for p in FULL_SIZE if not NAME.fullmatch(p.stem)] == []


def test_every_table_has_its_configs():
    algorithms = {NAME.fullmatch(p.stem)['algorithm'] for p in FULL_SIZE}
    assert set(RULES) | {'gmp-u', 'gmp-u-literal'} <= algorithms
    table_4 = [p for p in FULL_SIZE if 'ablations' in p.parts]
    assert len(table_4) == 10 * 6
    sets = {NAME.fullmatch(p.stem)['encoders'] for p in FULL_SIZE}
    assert sets >= {
        'slowfast-r101-r18',
        'slowfast-r101-slowonly-r50',
        'r18-slowonly-r50',
        'slowfast-r101-r18-slowonly-r50',
    }


@pytest.mark.parametrize('family', FAMILIES)
def test_a_family_has_all_its_targets(family):
    """And its members differ in nothing else."""
    paths = FAMILIES[family]
    corpus = NAME.fullmatch(paths[0].stem)['corpus']
    letters = 'hac' if corpus == 'hac' else '123'
    start = '' if corpus == 'hac' else 'd'
    ends = {path.stem.split(f'_{corpus}-')[1] for path in paths}
    if family.endswith('-single'):
        expected = {
            f'{start}{s}-to-{start}{t}'
            for s, t in itertools.permutations(letters, 2)
        }
    else:
        expected = {
            f'{start}{letters.replace(t, "")}-to-{start}{t}' for t in letters
        }
    assert ends == expected
    contents = set()
    for path in paths:
        content = load(path).to_dict()
        for part in ('train', 'val', 'test'):
            del content[f'{part}_dataloader']['dataset']['domains']
        content = {k: v for k, v in content.items() if k[0] != '_'}
        contents.add(json.dumps(content, sort_keys=True))
    assert len(contents) == 1


@pytest.mark.parametrize('family', FAMILIES)
def test_the_protocol(family):
    for path in FAMILIES[family]:
        name, config = NAME.fullmatch(path.stem), load(path)
        corpus = name['corpus']
        sources = domains_of(corpus, name['sources'])
        target = domains_of(corpus, name['target'])
        sets = {
            part: config[f'{part}_dataloader']['dataset']
            for part in ('train', 'val', 'test')
        }
        assert sets['train'].domains == sets['val'].domains
        assert sorted(sets['train'].domains) == sorted(sources)
        assert sets['test'].domains == target
        stem = 'hac' if corpus == 'hac' else 'epic'
        assert sets['train'].ann_file == f'{stem}_train.json'
        assert sets['val'].ann_file == f'{stem}_test.json'
        assert sets['test'].ann_file == (
            ['hac_train.json', 'hac_test.json']
            if stem == 'hac'
            else 'epic_test.json'
        )
        assert config.train_cfg.max_epochs == int(name['epochs'])
        assert config.train_dataloader.batch_size == 16
        assert config.train_dataloader.drop_last
        assert config.auto_scale_lr.base_batch_size == 16
        assert config.default_scope == 'mmaction'


@pytest.mark.parametrize('family', FAMILIES)
def test_the_datasets_build(family):
    config = load(FAMILIES[family][0])
    for part in ('train', 'val', 'test'):
        options = dict(config[f'{part}_dataloader']['dataset'])
        assert options.pop('type') == 'AudioVisualDataset'
        dataset = AudioVisualDataset(**options, lazy_init=True)
        assert set(model_of(config).modalities) <= set(dataset.modalities)
        METRICS.build(config[f'{part}_evaluator']) if part != 'train' else None


@pytest.mark.parametrize('family', FAMILIES)
def test_the_model(family):
    config = load(FAMILIES[family][0])
    name = NAME.fullmatch(FAMILIES[family][0].stem)
    model = model_of(config)
    wanted = {
        m
        for words, m in ENCODERS.items()
        if re.search(rf'(?<![a-z]){words}', name['encoders'])
    }
    assert set(model.modalities) == wanted
    if name['fusion']:
        assert type(model.fusion).__name__ == FUSIONS[name['fusion']]
    assert model.num_classes == (7 if name['corpus'] == 'hac' else 8)
    is_u = name['algorithm'].startswith('gmp-u')
    if name['algorithm'] in RULES or is_u:
        width = model.cls_head.hidden[0].out_features
        assert width == (512 if is_u else 256)
    for m, encoder in model.encoders.items():
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


@pytest.mark.parametrize('family', FAMILIES)
def test_the_rule(family):
    config = load(FAMILIES[family][0])
    algorithm = NAME.fullmatch(FAMILIES[family][0].stem)['algorithm']
    options = dict(config.optim_wrapper)
    assert options.pop('constructor') == 'GMPOptimWrapperConstructor'
    assert options['optimizer']['type'] == 'Adam'
    assert options['optimizer']['lr'] == 1e-4
    paramwise = options.pop('paramwise_cfg', None)
    wrapper = GMPOptimWrapperConstructor(options, paramwise)(nn.Linear(1, 1))
    if algorithm not in RULES:
        return
    assert set(options['optimizer']) == {'type', 'lr'}
    found = (
        wrapper.modulation and type(wrapper.modulation).__name__,
        wrapper.projection and wrapper.projection.rule,
    )
    assert found == RULES[algorithm]
    if algorithm in ('no-k', 'no-p'):
        off = wrapper.modulation.alpha_k, wrapper.modulation.alpha_p
        assert off == ((0, 0.5) if algorithm == 'no-k' else (0.5, 0))
    is_single = 'single_source' in FAMILIES[family][0].parts
    is_plain = algorithm in ('erm', 'uni-video', 'uni-audio') or is_single
    assert (model_of(config).domain_head is None) is is_plain


def test_total_sizes_of_the_paper():
    """31.3 M trained parameters with heads, 2816 fused features."""
    family = 'gmp_slowfast-r101-r18_1xb16-concat-20e_hac'
    model = model_of(load(FAMILIES[family][0]))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained / 1e6 == pytest.approx(31.28, abs=0.01)
    assert model.cls_head.in_channels == 2816


def test_variant_u_to_the_letter():
    family = 'gmp-u-literal_slowfast-r101-r18_1xb16-concat-15e_epic'
    config = load(FAMILIES[family][0])
    assert config.default_hooks.checkpoint.save_best is None
    model = model_of(config)
    assert model.encoders.audio.layer4_init == 'random'
    assert not model.encoders.video.frozen_norm_eval
    assert model.encoders.audio.frozen_norm_eval
    assert model.encoders.video.dropout.p == 0.5
    frozen = {p.requires_grad for p in model.methods[0].parameters()}
    assert frozen == {False}
    assert {p.requires_grad for p in model.unimodal_heads.parameters()} == {
        True
    }


def override(*words: str) -> Config:
    """A config with ``--cfg-options``, as the stock scripts read them."""
    path = FAMILIES['gmp_slowfast-r101-r18_1xb16-concat-20e_epic'][0]
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction)
    config = Config.fromfile(path)
    options = parser.parse_args(['--cfg-options', *words]).cfg_options
    config.merge_from_dict(options)
    return config


def test_weights_can_be_left_out():
    words = [f'model.encoders.{m}.pretrained=None' for m in ('video', 'audio')]
    model = model_of(override(*words))
    assert not any(encoder.pretrained for encoder in model.encoders.values())


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
    text = (ROOT.parent / 'docs/decisions/protocol.md').read_text('utf-8')
    assert f'`{word}`' in text
    encoders = model_of(changed).encoders
    found = {
        'layer4_init': encoders.audio.layer4_init,
        'frozen_norm_eval': encoders.video.frozen_norm_eval,
        'feature_dropout': encoders.video.dropout.p,
    }
    name = word.split('=')[0].split('.')[-1]
    assert found.get(name, other) == other


def test_a_misspelt_switch_is_an_error_with_the_choices():
    config = override('model.encoders.audio.layer4_init=rand')
    with pytest.raises(ValueError, match=r"one of \['pretrained', 'random'\]"):
        model_of(config)


def test_the_video_encoder_is_the_hosts_own():
    import mmaction

    host = Path(mmaction.__file__).parent / '.mim' / 'configs'
    name = 'slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb.py'
    theirs = Config.fromfile(host / 'recognition' / 'slowfast' / name)
    ours = Config.fromfile(ROOT / '_base_/models/slowfast-r101_r18.py')
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
