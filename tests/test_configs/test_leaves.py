"""Every config builds; a sample of folds and modality sets of each corpus."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

import mmgmp.engine
import mmgmp.evaluation
import mmgmp.models  # noqa: F401
from mmgmp.datasets import AudioVisualDataset
from mmgmp.engine.optim import GMPOptimWrapperConstructor
from mmgmp.registry import DATASETS, HOOKS, METRICS, MODELS
from mmgmp.utils.protocol import resolve_protocol
from tests.shipped import LEAVES, ROOT

CORPORA = {
    'hac': ['human', 'animal', 'cartoon'],
    'epic': ['D1', 'D2', 'D3'],
    'epic-clips': ['D1', 'D2', 'D3'],
    'mini-hac': ['human', 'animal', 'cartoon'],
    'hust': ['5Hz', '10Hz', '20Hz', '30Hz'],
    # Without an unseen domain.
    'crema-d': ['crema-d'],
    'kinetics-sounds': ['kinetics-sounds'],
    'pretext': ['pretext'],
}
IN_DOMAIN = [c for c, domains in CORPORA.items() if len(domains) == 1]
#: All that differ from HAC.
CLASSES = {
    'epic': 8,
    'epic-clips': 8,
    'pretext': 16,
    'crema-d': 6,
    'kinetics-sounds': 31,
    'hust': 6,
}
#: What a corpus has, in the model's order; video, audio and flow else.
MODALITIES = {
    'mini-hac': ('video', 'audio'),
    'hust': ('vibration', 'sound'),
}
ALGORITHMS = sorted({path.stem.split('_')[0] for path in LEAVES})
#: What needs something to compare a modality with.
COMPARING = ('opm',)
#: Stands for any backbone: what is built on top is looked at here.
SMALL = {'type': 'ResNet', 'depth': 18, 'in_channels': 1}
#: Modulation and projection by row of Table 4.
RULES = {
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
    'gmp': ('DecoupledModulation', 'cagp'),
    'erm-ema': (None, None),
    'base-ema': (None, None),
    'gmp-ema': ('DecoupledModulation', 'cagp'),
}


@pytest.fixture(scope='module', autouse=True)
def temporary_files_in_memory() -> Iterator[None]:
    """MMEngine copies each config and its bases to a temporary folder."""
    before = tempfile.tempdir
    if Path('/dev/shm').is_dir():
        tempfile.tempdir = '/dev/shm'
    yield
    tempfile.tempdir = before


@cache
def read(path: Path) -> Config:
    return Config.fromfile(path, import_custom_modules=False)


def resolve(path: Path, **options: Any) -> Config:
    config = Config(read(path).to_dict())
    config.merge_from_dict({f'protocol.{k}': v for k, v in options.items()})
    return resolve_protocol(config)


def build(config: Config) -> nn.Module:
    """Build on no device, on small encoders."""
    model = config.model.to_dict()
    for encoder in model['encoders'].values():
        encoder.update(backbone=SMALL, pretrained=None)
    with torch.device('meta'):
        return MODELS.build(model)


def corpus_of(path: Path) -> str:
    return path.stem.split('_')[1]


def test_names_are_algorithm_and_corpus():
    assert {corpus_of(path) for path in LEAVES} == set(CORPORA)
    # One of each: a fold, a modality set or an averaged row is an option.
    counts = Counter(tuple(path.stem.split('_')) for path in LEAVES)
    assert {len(parts) for parts in counts} == {2}
    assert max(counts.values()) == 1


def test_file_names_are_unique():
    """Mim finds a config by its file name over the whole package."""
    everything = [*ROOT.glob('configs/**/*.py'), *ROOT.glob('mmgmp/**/*.py')]
    counts = Counter(path.name for path in everything)
    assert [path for path in LEAVES if counts[path.name] > 1] == []


@pytest.mark.parametrize('corpus', ['hac', 'epic', 'mini-hac'])
def test_every_algorithm_is_there(corpus):
    found = {p.stem.split('_')[0] for p in LEAVES if corpus_of(p) == corpus}
    # What is literal about variant U are its pretrained encoders.
    missing = {'gmp-u-literal'} if corpus == 'mini-hac' else set()
    assert found == set(ALGORITHMS) - missing


def test_no_two_differ_in_their_protocol_only():
    texts = Counter()
    for path in LEAVES:
        config = read(path).to_dict()
        del config['protocol']
        texts[json.dumps(config, sort_keys=True, default=str)] += 1
    assert max(texts.values()) == 1


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path,
            id=path.stem,
            # Those of HAC on another corpus.
            marks=pytest.mark.slow if '_epic' in path.stem else (),
        )
        for path in LEAVES
    ],
)
def test_every_leaf_builds(path):
    config = resolve(path)
    model = build(config)
    expected = MODALITIES.get(corpus_of(path), ('video', 'audio'))
    assert model.modalities == expected
    assert model.num_classes == CLASSES.get(corpus_of(path), 7)
    for part in ('train', 'val', 'test'):
        options = dict(config[f'{part}_dataloader']['dataset'])
        assert options.pop('type') == 'AudioVisualDataset'
        dataset = AudioVisualDataset(**options, lazy_init=True)
        assert dataset.modalities == model.modalities
    METRICS.build(config.test_evaluator)
    options = config.optim_wrapper.to_dict()
    assert options.pop('constructor') == 'GMPOptimWrapperConstructor'
    paramwise = options.pop('paramwise_cfg', None)
    wrapper = GMPOptimWrapperConstructor(options, paramwise)(nn.Linear(1, 1))
    for hook in config.default_hooks.values():
        HOOKS.build(dict(hook))
    algorithm = path.stem.split('_')[0].removesuffix('-gmp')
    if algorithm in RULES and '-gmp' not in path.stem:
        found = (
            wrapper.modulation and type(wrapper.modulation).__name__,
            wrapper.projection and wrapper.projection.rule,
        )
        assert found == RULES[algorithm]
        is_single = corpus_of(path) in IN_DOMAIN
        has_none = is_single or algorithm.startswith('erm')
        assert (model.domain_head is None) is has_none
    if '-gmp_' in path.stem:
        assert type(wrapper.modulation).__name__ == 'DecoupledModulation'
        assert (wrapper.modulation.alpha_k, wrapper.modulation.alpha_p) == (
            0.5, 0.5,
        )  # fmt: skip


@pytest.mark.parametrize('corpus', ['crema-d', 'kinetics-sounds'])
def test_no_domain_is_unseen_and_no_tested_clip_selects(corpus):
    config = resolve(ROOT / f'configs/base/erm_{corpus}.py')
    for part in ('train', 'val', 'test'):
        assert config[f'{part}_dataloader'].dataset.domains == [corpus]
    assert config.protocol.in_domain
    assert config.default_hooks.checkpoint.save_best is None
    with pytest.raises(ValueError, match='protocol.target must be among'):
        resolve(ROOT / f'configs/base/erm_{corpus}.py', target='human')
    with torch.device('meta'):
        encoders = MODELS.build(config.model.to_dict()).encoders
    # Frames one by one, from random weights.
    frames = torch.zeros(2, 3, 3, 64, 64, device='meta')
    assert encoders['video'](frames).shape == (2, 512)
    assert encoders['audio'](frames[:, 0, :1]).shape == (2, 512)
    trained = [p.requires_grad for p in encoders.parameters()]
    assert all(trained)
    assert len(trained) == 2 * 60  # ResNet-18 without its last layer


def is_defined(algorithm: str, modalities: tuple[str, ...]) -> bool:
    """Whether an algorithm's config can have a modality set as it is."""
    size = len(modalities)
    if algorithm == 'grad-blending-fixed':  # its weights are by modality
        return modalities == ('video', 'audio')
    if algorithm.endswith(('-film', '-activation')):  # sound is one of a pair
        return size == 2 and 'audio' in modalities
    if algorithm == 'balgrad':
        return size == 2
    return size > 1 or not algorithm.startswith(COMPARING)


def drawn(corpus: str, count: int = 8) -> list[tuple[Path, dict[str, Any]]]:
    """Draw configs, folds and modality sets, the same ones every time."""
    rng = random.Random(f'{corpus} 0')
    leaves = [path for path in LEAVES if corpus_of(path) == corpus]
    known = MODALITIES.get(corpus, ('video', 'audio', 'flow'))
    sets = [s for n in (1, 2, 3) for s in combinations(known, n)]
    found = []
    while len(found) < count:
        path, modalities = rng.choice(leaves), rng.choice(sets)
        if not is_defined(path.stem.split('_')[0], modalities):
            continue
        target = rng.choice(CORPORA[corpus])
        others = [d for d in CORPORA[corpus] if d != target]
        sources = rng.choice([None, None, [rng.choice(others)]])
        options = {'target': target, 'modalities': list(modalities)}
        found.append((path, {**options, 'sources': sources}))
    return found


@pytest.mark.parametrize('corpus', [c for c in CORPORA if c not in IN_DOMAIN])
def test_folds_and_modality_sets(corpus):
    for path, options in drawn(corpus):
        config = resolve(path, **options)
        model = build(config)
        sources = options['sources'] or [
            d for d in CORPORA[corpus] if d != options['target']
        ]
        assert list(model.modalities) == options['modalities'], path
        head = model.domain_head
        assert head is None or head.num_domains == len(sources) > 1, path
        for part in ('train', 'val', 'test'):
            options_of = config[f'{part}_dataloader']['dataset']
            dataset = DATASETS.build({**options_of, 'lazy_init': True})
            assert set(model.modalities) <= set(dataset.modalities), path
            wanted = [options['target']] if part == 'test' else sources
            assert dataset.domains == wanted, path


def test_a_method_of_two_modalities_refuses_three():
    path = ROOT / 'configs/balance/balgrad_hac.py'
    with pytest.raises(ValueError, match='exactly two modalities'):
        build(resolve(path, modalities=['video', 'audio', 'flow']))
