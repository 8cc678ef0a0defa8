"""The HUST motor converter and its synthetic recordings."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmgmp.datasets import AudioVisualDataset

from .conftest import DATA_PREP

FOLDER = DATA_PREP / 'hust'


@pytest.fixture(scope='module')
def scripts() -> Iterator[dict[str, ModuleType]]:
    """Modules of this folder; another corpus has some of the same name."""
    names = ('recordings', 'render', 'convert_annotations')
    before = {name: sys.modules.pop(name, None) for name in names}
    sys.path.insert(0, str(FOLDER))
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(FOLDER))
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture(scope='module')
def raw(scripts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('hust') / 'raw'
    assert scripts['render'].main([str(folder), '--seconds', '0.15']) == 0
    return folder


def convert(scripts, raw: Path, out: Path, *options: str) -> int:
    words = [str(raw), str(out), '--window', '512', *options]
    return scripts['convert_annotations'].main(words)


@pytest.fixture(scope='module')
def corpus(scripts, raw, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('hust') / 'data'
    # Recordings are found in folders below, as is the mark of rendered ones.
    assert convert(scripts, raw.parent, out) == 0
    return out


def annotation(corpus: Path, split: str) -> dict:
    return json.loads((corpus / f'hust_{split}.json').read_text())


def test_every_class_and_speed_has_windows_of_both_splits(corpus):
    for split, count in (('train', 5), ('test', 2)):
        content = annotation(corpus, split)
        assert content['synthetic'] is True
        assert 'synthetic' in content['metainfo']['corpus']
        keys = [(s['domain'], s['label']) for s in content['data_list']]
        assert sorted(set(keys)) == sorted(
            (d, c) for d in content['metainfo']['domains'] for c in range(6)
        )
        assert {keys.count(key) for key in keys} == {count}


@pytest.mark.parametrize('step', ['512', '100'])
def test_no_sample_is_in_both_splits(scripts, raw, tmp_path, step):
    assert convert(scripts, raw, tmp_path, '--step', step) == 0
    seen: dict[str, dict[str, set[int]]] = {}
    for split in ('train', 'test'):
        for sample in annotation(tmp_path, split)['data_list']:
            entries = [sample['vibration'], sample['sound']]
            spans = {
                (e['start_sample'], e['start_sample'] + e['num_samples'])
                for e in entries
            }
            ((start, stop),) = spans  # both modalities at the same time
            places = seen.setdefault(entries[0]['path'], {})
            places.setdefault(split, set()).update(range(start, stop))
    assert len(seen) == 24
    for places in seen.values():
        # Time goes on from train to test.
        assert max(places['train']) < min(places['test'])


def test_arrays_are_the_columns_of_the_text(corpus, raw):
    table = np.loadtxt(raw / 'BOW_20HZ.txt', skiprows=5)
    vibration = np.load(corpus / 'signals/BOW_20HZ_vibration.npy')
    sound = np.load(corpus / 'signals/BOW_20HZ_sound.npy')
    np.testing.assert_allclose(vibration, table[:, 1:4], atol=1e-6)
    np.testing.assert_allclose(sound, table[:, 4:], atol=1e-6)
    assert vibration.dtype == sound.dtype == np.float32


def test_columns_are_options(scripts, raw, tmp_path):
    options = ['--vibration', '3', '--sound', '1']
    assert convert(scripts, raw, tmp_path, *options) == 0
    table = np.loadtxt(raw / 'H_5HZ.txt', skiprows=5)
    for name, column in (('vibration', 3), ('sound', 1)):
        array = np.load(tmp_path / f'signals/H_5HZ_{name}.npy')
        np.testing.assert_allclose(array, table[:, [column]], atol=1e-6)


def cut_row(text: str) -> str:
    return text[: text.rindex('\t')]


def header_alone(text: str) -> str:
    return '\n'.join(text.splitlines()[:5])


def one_nan(text: str) -> str:
    head, _ = text.rstrip().rsplit('\t', 1)
    return f'{head}\tnan'


def lose_rows(text: str) -> str:
    lines = text.splitlines()
    return '\n'.join(lines[:1000] + lines[1003:])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (cut_row, 'H_10HZ.txt: '),
        (lose_rows, 'lacks rows behind row 995:'),
        (lambda text: text.replace('Time (', 'Zeit ('), '--header'),
        (header_alone, 'has 0 rows'),
        (one_nan, 'NaN or infinite'),
        (None, 'H_10HZ.txt: no such file'),
    ],
    ids=['cut', 'lost-rows', 'no-header', 'empty', 'nan', 'missing'],
)
def test_an_unusable_file_is_named_and_nothing_written(
    scripts, raw, tmp_path, capsys, change, message
):
    folder = tmp_path / 'raw'
    shutil.copytree(raw, folder)
    path = folder / 'H_10HZ.txt'
    text = path.read_text()
    path.unlink()
    if change:
        path.write_text(change(text))
    assert convert(scripts, folder, tmp_path / 'out') == 1
    error = capsys.readouterr().err
    assert message in error
    assert '1 problems, nothing written' in error
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--train-fraction', '1'], '--train-fraction must be'),
        (['--step', '0'], 'must be >= 1'),
        (['--window', '2000'], 'leave no window of 2000 in test'),
    ],
)
def test_windows_that_cannot_be(
    scripts, raw, tmp_path, capsys, options, message
):
    assert convert(scripts, raw, tmp_path / 'out', *options) == 1
    assert message in capsys.readouterr().err


def test_equal_settings_give_equal_recordings(scripts, raw, tmp_path, capsys):
    render = scripts['render']
    settings = render.Settings(0.15)
    one, again, other = (
        render.render_recording(code, '5Hz', settings)
        for code in ('H', 'H', 'BF')
    )
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)
    (tmp_path / 'thesis.txt').write_text('precious')
    assert render.main([str(tmp_path)]) == 1
    assert '--force' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']
    assert 'SYNTHETIC' in (raw / 'H_5HZ.txt').read_text()[:60]


def test_the_dataset_reads_windows(corpus):
    dataset = AudioVisualDataset(
        'hust_train.json',
        domains=['20Hz', '5Hz'],
        modalities=['vibration', 'sound'],
        pipeline=[
            dict(
                type='MultiModalPipeline',
                vibration=[dict(type='LoadSignalWindow')],
                sound=[
                    dict(type='LoadSignalWindow'),
                    dict(type='StandardizeSignal'),
                ],
            ),
            dict(type='PackMultiModalInputs'),
        ],
        data_root=str(corpus),
    )
    assert dataset.is_synthetic
    assert len(dataset) == 2 * 6 * 5
    item = dataset[1]
    source = dataset.get_data_info(1)['sources']['vibration']
    start = source['start_sample']
    assert start == 512
    stored = np.load(source['path'])[start : start + 512].T[None]
    assert np.array_equal(item['inputs']['vibration'].numpy(), stored)
    assert item['inputs']['sound'].shape == (1, 1, 512)
    assert abs(float(item['inputs']['sound'].mean())) < 1e-6
