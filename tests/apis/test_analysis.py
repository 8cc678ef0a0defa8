from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmgmp.apis.analysis import (
    Origin,
    class_names,
    extract_features,
    find_origin,
    read_predictions,
)
from mmgmp.registry import MODELS
from tests.shipped import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cell(tmp_path):
    folder = tmp_path / 'GMP/H/seed-3'
    (folder / 'test').mkdir(parents=True)
    values = dict(corpus='mini-HAC', synthetic=True, seed=3)
    values.update(method='GMP', target='H')
    (folder / 'cell.json').write_text(json.dumps(values))
    return folder


@pytest.fixture
def dump(cell):
    samples = [
        {
            'pred_score': torch.tensor(score),
            'modality_scores': {'audio': torch.tensor([0.0, 1.0])},
            'gt_label': torch.tensor([label]),
            'domain': domain,
        }
        for score, label, domain in [
            ([0.9, 0.1], 0, 'human'),
            ([0.9, 0.1], 1, 'human'),
            ([0.2, 0.8], 1, 'animal'),
        ]
    ]
    path = cell / 'test/predictions.pkl'
    path.write_bytes(pickle.dumps(samples))
    return path


def test_a_file_of_a_benchmark_knows_where_it_is_from(dump):
    origin = find_origin(dump)
    assert origin == Origin('mini-HAC', 3, True, 'GMP, target H')
    assert origin.title == 'GMP, target H: mini-HAC (SYNTHETIC), seed 3'


def test_any_other_file_must_be_told(tmp_path):
    assert find_origin(tmp_path, 'HAC', 1).title == 'HAC, seed 1'
    with pytest.raises(ValueError, match='--corpus and --seed must be given'):
        find_origin(tmp_path, 'HAC')


def test_accuracy_by_domain_and_class(dump):
    fused = read_predictions(dump)
    assert fused.accuracy_by(fused.domains) == {'human': 0.5, 'animal': 1.0}
    assert fused.accuracy_by(fused.labels.tolist()) == {0: 1.0, 1: 0.5}
    audio = read_predictions(dump, 'audio')
    assert audio.predicted.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"one of \['audio'\], got 'video'"):
        read_predictions(dump, 'video')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    config = load()
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = MODELS.build(config.model)
    path = tmp_path_factory.mktemp('model') / 'model.pth'
    meta = {'dataset_meta': {'classes': ['a', 'b']}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return path


def test_class_names_are_read_off_a_checkpoint(checkpoint):
    assert class_names(checkpoint) == ['a', 'b']


def test_features_of_another_model_are_refused(checkpoint):
    config = load()
    config.model.cls_head.hidden_channels = 8
    with pytest.raises(ValueError, match='must hold every tensor'):
        extract_features(config, checkpoint)


def test_features_of_the_sources_and_the_target(
    checkpoint, mini_hac, tmp_path
):
    config = load()
    for split in ('val', 'test'):
        loader = config[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        loader.dataset.update(data_root=str(mini_hac), indices=3)
    found = extract_features(config, checkpoint)
    assert set(found.values) == {'video', 'audio', 'fused'}
    assert len(found.labels) == len(found.domains) == 6
    assert found.domains[3:] == ['human'] * 3
    joined = [found.values['video'], found.values['audio']]
    np.testing.assert_allclose(
        found.values['fused'], np.concatenate(joined, axis=1)
    )
    # Of a dumped config the modalities are sorted; the weights are not.
    config.dump(tmp_path / 'dumped.py')
    dumped = Config.fromfile(tmp_path / 'dumped.py')
    for split in ('val', 'test'):
        dumped[f'{split}_dataloader'] = config[f'{split}_dataloader']
    again = extract_features(dumped, checkpoint)
    np.testing.assert_array_equal(again.values['fused'], found.values['fused'])
