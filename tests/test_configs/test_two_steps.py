"""Every algorithm trains two steps on real files of the mini-HAC."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmgmp.registry import MODELS, RUNNERS
from mmgmp.utils.settings import KEY, TrainedOn
from tests.shipped import GMP, LEAVES, load, small

# One of each kind of part; the rest takes as long again.
QUICK = (
    'balgrad', 'cmrf', 'drb', 'fishr', 'gmp-ema', 'gmp-u', 'grad-blending',
    'inforeg', 'jat', 'mbcd', 'miro', 'mixstyle', 'mmpareto', 'moosa', 'mwam',
    'nel', 'opm-ogm', 'pmr', 'sam', 'simmmdg-gmp', 'swad', 'umt',
)  # fmt: skip
ON_MINI_HAC = [
    pytest.param(
        path,
        id=path.stem,
        marks=()
        if path.stem.removesuffix('_mini-hac') in QUICK
        else pytest.mark.slow,
    )
    for path in LEAVES
    if path.stem.endswith('_mini-hac')
]


def teachers(path: Path) -> dict[str, str]:
    """Random encoders, as if trained on the sources of the default fold."""
    state = MODELS.build(load().model).state_dict()
    sources = ('animal', 'cartoon')
    trained = TrainedOn(sources, (), seen=sources).as_meta()
    torch.save({'state_dict': state, 'meta': {KEY: trained}}, path)
    return dict.fromkeys(('video', 'audio'), str(path))


@pytest.mark.parametrize('path', ON_MINI_HAC)
def test_two_steps(path, mini_hac, tmp_path):
    config = small(Config.fromfile(path), mini_hac, tmp_path)
    for method in config.model.get('methods', ()):
        if method.type == 'UnimodalTeachers':
            method.checkpoints = teachers(tmp_path / 'teacher.pth')
    runner = RUNNERS.build(config)
    before = {
        n: p.detach().clone() for n, p in runner.model.named_parameters()
    }
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    moved = {
        n.split('.')[1]
        for n, p in runner.model.named_parameters()
        if n.startswith('encoders.') and not (p == before[n]).all()
    }
    assert moved == set(runner.model.modalities)


@pytest.mark.parametrize(
    'options',
    [
        {'missing': ['audio']},
        {'corruption': {'video': 'noise', 'audio': 'clipping'}},
        {'measure': 'misclassification'},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_evaluation_of_any_model(options, mini_hac, tmp_path):
    config = small(load(target='cartoon', **options), mini_hac, tmp_path)
    metrics = RUNNERS.build(config).test()
    assert 0 <= metrics['acc/top1'] <= 1
    assert ('misclassification/aurc' in metrics) is ('measure' in options)


def test_damage_is_of_the_named_modality_and_severity(mini_hac, tmp_path):
    inputs = {}
    for severity in (1, 5):
        damage = {'video': 'noise', 'severity': severity}
        config = small(load(corruption=damage), mini_hac, tmp_path)
        dataset = Runner.build_dataloader(config.test_dataloader).dataset
        assert f'severity={severity}' in repr(dataset.pipeline)
        inputs[severity] = dataset[0]['inputs']
    assert not (inputs[1]['video'] == inputs[5]['video']).all()
    assert (inputs[1]['audio'] == inputs[5]['audio']).all()


def test_a_foreign_corpus(mini_hac, tmp_path):
    """The same clips under another name, so that the model cannot tell."""
    annotation = json.loads((mini_hac / 'hac_test.json').read_text())
    annotation['metainfo'].update(corpus='foreign', domains=['D1'])
    for sample in annotation['data_list']:
        sample['domain'] = 'D1'
    foreign = tmp_path / 'foreign.json'
    foreign.write_text(json.dumps(annotation))
    config = small(Config.fromfile(GMP), mini_hac, tmp_path)
    config.merge_from_dict(
        {
            'protocol.measure': 'out_of_distribution',
            'protocol.foreign.ann_file': str(foreign),
            'protocol.foreign.data_root': str(mini_hac),
        }
    )
    metrics = RUNNERS.build(config).test()
    assert set(metrics) >= {'ood/auroc', 'ood/fpr95'}
    assert 0 <= metrics['ood/auroc'] <= 1
