"""Classes that a model is not to know."""

from __future__ import annotations

import json

import pytest

from mmgmp.datasets import AudioVisualDataset
from mmgmp.datasets.unknown_classes import set_apart

CLASSES = ['run', 'eat', 'swim', 'sleep']


@pytest.fixture
def ann_file(tmp_path):
    samples = [
        dict(id=f'{d}/{c}', domain=d, label=c, audio=dict(path=f'{d}{c}.wav'))
        for d in ('x', 'y')
        for c in range(4)
    ]
    metainfo = dict(classes=CLASSES, domains=['x', 'y'])
    path = tmp_path / 'all.json'
    path.write_text(json.dumps(dict(metainfo=metainfo, data_list=samples)))
    return str(path)


def labels(ann_file, **kwargs):
    dataset = AudioVisualDataset(ann_file, modalities=['audio'], **kwargs)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return dataset.metainfo['classes'], {
        info['sample_id']: info['label'] for info in infos
    }


def test_unknown_classes_are_left_out(ann_file):
    classes, found = labels(
        ann_file, unknown_classes=['eat', 'run'], domains=['y']
    )
    assert classes == ['swim', 'sleep']
    assert found == {'y/2': 0, 'y/3': 1}


def test_kept_ones_are_numbered_behind(ann_file):
    classes, found = labels(
        ann_file, unknown_classes=['eat'], keep_unknown=True, domains=['x']
    )
    assert classes == ['run', 'swim', 'sleep', 'eat']
    assert found == {'x/0': 0, 'x/1': 3, 'x/2': 1, 'x/3': 2}


@pytest.mark.parametrize('unknown', [['fly'], CLASSES, ['run', 'run']])
def test_names_that_do_not_fit(ann_file, unknown):
    with pytest.raises(ValueError, match='unknown_classes must name, once'):
        labels(ann_file, unknown_classes=unknown)


def test_a_single_string(ann_file):
    with pytest.raises(TypeError, match=r"write \['run'\]"):
        labels(ann_file, unknown_classes='run')


def test_nothing_left_and_labels_that_are_none():
    metainfo = dict(classes=['a', 'b'])
    only = dict(metainfo=metainfo, data_list=[dict(label=0)])
    with pytest.raises(ValueError, match='and no sample of another class'):
        set_apart(only, ['a'], False, 'x.json')
    odd = dict(metainfo=metainfo, data_list=[dict(label='a'), dict(label=9)])
    kept = set_apart(odd, ['a'], False, 'x.json')['data_list']
    assert kept == odd['data_list']
