"""Test-time configs on a model that they were not written for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[2] / 'configs'
BASE = 'base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ha-to-c.py'
CONFIGS = sorted(path.stem for path in (ROOT / 'robustness').glob('*.py'))


def load(name, monkeypatch, tmp_path, data, **options):
    monkeypatch.setenv('MMGMP_CONFIG', str(ROOT / BASE))
    config = Config.fromfile(ROOT / f'robustness/{name}.py')
    config.work_dir = str(tmp_path / name)
    loader = config.test_dataloader
    loader.update(num_workers=0, persistent_workers=False, batch_size=4)
    datasets = loader.dataset.get('datasets', [loader.dataset])
    for dataset in datasets:
        dataset.data_root = str(data)
        dataset.indices = 4
    config.merge_from_dict(options)
    return config


def test_the_configs_are_those_documented():
    assert CONFIGS == [
        'corrupted-audio', 'corrupted-video', 'misclassification',
        'missing-audio', 'missing-video', 'out-of-distribution',
    ]  # fmt: skip


@pytest.mark.parametrize('name', CONFIGS)
def test_without_a_training_config_nothing_is_tested(name, monkeypatch):
    monkeypatch.delenv('MMGMP_CONFIG', raising=False)
    with pytest.raises(ValueError, match='MMGMP_CONFIG must be set'):
        Config.fromfile(ROOT / f'robustness/{name}.py')


@pytest.mark.parametrize(
    'name', [name for name in CONFIGS if name != 'out-of-distribution']
)
def test_any_model_can_be_tested(name, mini_hac, monkeypatch, tmp_path):
    config = load(name, monkeypatch, tmp_path, mini_hac)
    assert config.test_dataloader.dataset.domains == ['cartoon']
    metrics = Runner.from_cfg(config).test()
    assert 0 <= metrics['acc/top1'] <= 1
    if name == 'misclassification':
        assert 'misclassification/aurc' in metrics


@pytest.mark.parametrize(
    ('modality', 'kind'), [('video', 'noise'), ('audio', 'clipping')]
)
def test_kind_and_severity_are_options(
    modality, kind, mini_hac, monkeypatch, tmp_path
):
    key = f'test_dataloader.dataset.pipeline.0.corruptions.{modality}'
    inputs = {}
    for severity in (1, 5):
        config = load(
            f'corrupted-{modality}',
            monkeypatch,
            tmp_path,
            mini_hac,
            **{f'{key}.kind': kind, f'{key}.severity': severity},
        )
        dataset = Runner.build_dataloader(config.test_dataloader).dataset
        assert f'severity={severity}' in repr(dataset.pipeline)
        inputs[severity] = dataset[0]['inputs']
    for name in ('video', 'audio'):
        is_equal = (inputs[1][name] == inputs[5][name]).all()
        assert bool(is_equal) is (name != modality)


def test_a_foreign_corpus(mini_hac, monkeypatch, tmp_path):
    """The same clips under another name, so that the model cannot tell."""
    annotation = json.loads((mini_hac / 'hac_test.json').read_text())
    annotation['metainfo'].update(corpus='foreign', domains=['D1'])
    for sample in annotation['data_list']:
        sample['domain'] = 'D1'
    foreign = tmp_path / 'foreign.json'
    foreign.write_text(json.dumps(annotation))
    config = load('out-of-distribution', monkeypatch, tmp_path, mini_hac)
    config.test_dataloader.dataset.datasets[1].ann_file = str(foreign)
    metrics = Runner.from_cfg(config).test()
    assert set(metrics) >= {'ood/auroc', 'ood/fpr95'}
    assert 0 <= metrics['ood/auroc'] <= 1
