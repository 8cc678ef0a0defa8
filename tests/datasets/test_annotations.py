"""What others wrote into an annotation is read completely or refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mmgmp.datasets import AudioVisualDataset
from mmgmp.datasets.sample_checks import check_label
from mmgmp.utils.text_files import read_json, read_yaml
from tests.fuzzing import fuzz


def content(count: int = 3) -> dict[str, Any]:
    samples = [
        {
            'id': f'd/clip {number}',
            'domain': 'df'[number % 2],
            'label': number % 2,
            'audio': {'path': f'{number}.wav', 'start': 0.5, 'stop': 2},
        }
        for number in range(count)
    ]
    metainfo = {'classes': ['walk', 'run'], 'domains': ['d', 'f']}
    return {'metainfo': metainfo, 'data_list': samples}


def load(path: Path, **options: Any) -> list[dict[str, Any]]:
    dataset = AudioVisualDataset(
        str(path), modalities=['audio'], serialize_data=False, **options
    )
    return [dataset.get_data_info(number) for number in range(len(dataset))]


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-32'])
def test_a_byte_order_mark_is_read(encoding, tmp_path):
    path = tmp_path / 'a.json'
    path.write_bytes(json.dumps(content()).encode(encoding))
    assert len(load(path)) == 3


def test_yaml_is_read_as_data(tmp_path):
    path = tmp_path / 'a.yml'
    path.write_text(yaml.safe_dump(content()))
    assert len(load(path)) == 3
    path.write_text('metainfo: !!python/object/apply:os.mkdir ["ran"]')
    with pytest.raises(ValueError, match=r'ann_file: .*a\.yml must be YAML'):
        load(path)


def test_a_pickle_is_refused_unread(tmp_path):
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(content()))
    with pytest.raises(ValueError, match=r'a\.pkl; pickles can run programs'):
        load(path)


#: Place of a value in the file, the value, and what the error says.
WRONG = [
    (('metainfo',), [], 'classes and domains'),
    (('metainfo', 'classes'), 'walk', 'classes of metainfo'),
    (('metainfo', 'classes'), ['walk', 'walk'], 'classes of metainfo'),
    (('metainfo', 'classes'), ['walk', 1], 'classes of metainfo'),
    (('metainfo', 'classes'), [], 'classes of metainfo'),
    (('metainfo', 'domains'), ['d', 'd'], 'domains of metainfo'),
    (('metainfo', 'domains'), {'d': 0}, 'domains of metainfo'),
    (('data_list',), {}, 'and a data_list'),
    (('data_list',), [], 'it is empty'),
    (('data_list', 1), 'd/clip 1', 'entry 1 of'),
    (('data_list', 1), None, 'entry 1 of'),
    (('data_list', 1, 'id'), None, 'entry 1 of'),
    (('data_list', 1, 'id'), 7, 'entry 1 of'),
    (('data_list', 1, 'id'), ' ', 'entry 1 of'),
    (('data_list', 1, 'id'), '\ud800', 'entry 1 of'),
    (('data_list', 1, 'id'), 'd/clip 0', "'d/clip 0' in entries 0 and 1"),
    (('data_list', 1, 'domain'), 'F', "write 'f' if that is meant"),
    (('data_list', 1, 'domain'), 'f ', "write 'f' if that is meant"),
    (('data_list', 1, 'domain'), 'street', "got 'street'; .*add it to meta"),
    (('data_list', 1, 'domain'), ['f'], 'domain of sample'),
    (('data_list', 1, 'domain'), None, 'domain of sample'),
    (('data_list', 1, 'label'), True, 'got True'),
    (('data_list', 1, 'label'), 1.0, r'got 1\.0'),
    (('data_list', 1, 'label'), '1', "got '1'"),
    (('data_list', 1, 'label'), None, 'got None'),
    (('data_list', 1, 'label'), 2, 'got 2'),
    (('data_list', 1, 'audio'), 'a.wav', r"no \['audio'\] entry"),
    (('data_list', 1, 'audio'), {}, 'must name a path, got nothing'),
    (('data_list', 1, 'audio', 'path'), 7, 'must be the name of a file'),
    (('data_list', 1, 'audio', 'path'), None, 'must be the name of a file'),
    (('data_list', 1, 'audio', 'path'), '', 'must be the name of a file'),
    (('data_list', 1, 'audio', 'path'), 'a\0', 'must be the name of a file'),
    (('data_list', 1, 'audio', 'start'), '0.5', "got '0.5'"),
    (('data_list', 1, 'audio', 'start'), -1, 'start must be seconds >= 0'),
    (('data_list', 1, 'audio', 'start'), True, 'start must be seconds >= 0'),
    (('data_list', 1, 'audio', 'stop'), 0.5, 'stop must come after start'),
    (('data_list', 1, 'audio', 'stop'), 0, 'stop must come after start'),
    (('data_list', 1, 'audio', 'fps'), 0, 'fps must be frames per second'),
    (('data_list', 1, 'audio', 'num_frames'), 0, 'num_frames must be'),
    (('data_list', 1, 'audio', 'num_frames'), 2.5, 'num_frames must be'),
    (('data_list', 1, 'audio', 'start_frame'), '1', 'start_frame must be'),
    (('data_list', 1, 'audio', 'filename_tmpl'), 'a.jpg', 'filename_tmpl'),
]  # fmt: skip


@pytest.mark.parametrize(('place', 'value', 'message'), WRONG)
def test_a_wrong_value_names_file_and_sample(place, value, message, tmp_path):
    wrong = content()
    *parents, last = place
    inside = wrong
    for key in parents:
        inside = inside[key]
    inside[last] = value
    path = write(tmp_path / 'a.json', wrong)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    if len(place) > 2 and place[2] != 'id':
        assert "'d/clip 1'" in str(caught.value)


@pytest.mark.parametrize('key', ['id', 'domain', 'label', 'audio'])
def test_a_missing_part_names_file_and_sample(key, tmp_path):
    wrong = content()
    del wrong['data_list'][1][key]
    path = write(tmp_path / 'a.json', wrong)
    place = 'entry 1 of' if key == 'id' else "'d/clip 1'"
    with pytest.raises(ValueError, match=place) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('number', ['NaN', 'Infinity', '1e999', '-1e999'])
def test_times_are_finite(number, tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(content()).replace('0.5', number))
    with pytest.raises(ValueError, match=r'a\.json'):
        load(path)


def test_a_key_twice_does_not_drop_a_sample(tmp_path):
    path = tmp_path / 'a.json'
    text = json.dumps(content())
    path.write_text(text.replace('"label": 1', '"label": 1, "label": 0'))
    with pytest.raises(ValueError, match=r"a\.json .*\['label'\] twice"):
        load(path)


def test_two_files_must_agree_on_a_label(tmp_path):
    other = content()
    paths = [write(tmp_path / 'a.json', content()), tmp_path / 'b.json']
    write(paths[1], other)
    both = AudioVisualDataset([str(p) for p in paths], modalities=['audio'])
    assert len(both) == 6
    other['data_list'][0]['label'] = 1
    write(paths[1], other)
    with pytest.raises(ValueError, match=r"'d/clip 0'.*0 in .*a\.json and 1"):
        AudioVisualDataset([str(p) for p in paths], modalities=['audio'])


def test_a_domain_that_is_not_used_may_lack_a_modality(tmp_path):
    one_sided = content()
    del one_sided['data_list'][1]['audio']
    path = write(tmp_path / 'a.json', one_sided)
    assert len(load(path, domains=['d'])) == 2


@given(st.one_of(st.booleans(), st.floats(), st.text(), st.none()))
def test_a_label_is_a_whole_number(label):
    with pytest.raises(ValueError, match="label of sample 'a'"):
        check_label({'id': 'a', 'label': label}, ['x', 'y'], 'a.json')


def read_both(path: Path) -> tuple[list[dict[str, Any]], Any]:
    read = read_json if path.suffix == '.json' else read_yaml
    return load(path), read(path)['data_list']


def is_complete(found: tuple[list[dict[str, Any]], Any]) -> bool:
    infos, samples = found
    return [(i['sample_id'], i['label']) for i in infos] == [
        (s['id'], s['label']) for s in samples
    ]


def test_damaged_files_are_read_completely_or_named(tmp_path):
    text = json.dumps(content(6), indent=1)
    originals = {
        'plain.json': text.encode(),
        'marked.json': text.encode('utf-8-sig'),
        'wide.json': text.encode('utf-16'),
        'plain.yml': yaml.safe_dump(content(3)).encode(),
    }
    assert not fuzz(read_both, originals, tmp_path, check=is_complete)
