from __future__ import annotations

import numpy as np
import pytest

from mmgmp.datasets import (
    AudioVisualDataset,
    LoadSignalWindow,
    StandardizeSignal,
)
from mmgmp.datasets.file_damage import find_damage
from mmgmp.datasets.transforms.signal_file import open_signal
from tests.datasets.conftest import write_annotation


@pytest.fixture
def signal() -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, (100, 3)).astype(np.float32)


@pytest.fixture
def stored(signal, tmp_path) -> str:
    np.save(tmp_path / 'a.npy', signal)
    return str(tmp_path / 'a.npy')


def test_file_and_array_are_read_alike(signal, stored):
    window = dict(start_sample=10, num_samples=20)
    load = LoadSignalWindow()
    by_file = load(dict(window, filename=stored))['signal']
    by_array = load(dict(window, signal=signal))['signal']
    assert by_file.shape == (1, 3, 20)
    assert by_file.dtype == np.float32
    assert by_file.flags.c_contiguous
    assert np.array_equal(by_file[0].T, signal[10:30])
    assert np.array_equal(by_file, by_array)
    assert load(dict(filename=stored))['signal'].shape == (1, 3, 100)
    # What was read is a copy: a map of the file would be read-only.
    by_file += 1
    assert np.array_equal(np.load(stored), signal)


@pytest.mark.parametrize(
    ('channels', 'expected'),
    [
        ([2, 0], lambda s: s[:, [2, 0]]),
        ('norm', lambda s: np.sqrt((s**2).sum(1, keepdims=True))),
    ],
)
def test_channels_are_chosen(signal, channels, expected):
    found = LoadSignalWindow(channels)(dict(signal=signal))['signal'][0].T
    np.testing.assert_allclose(found, expected(signal), rtol=1e-6)


@pytest.mark.parametrize('channels', ['xyz', [], [-1], [True], 3, None])
def test_channels_that_cannot_be(channels):
    with pytest.raises((TypeError, ValueError), match='channels of LoadSig'):
        LoadSignalWindow(channels)


def test_a_channel_that_is_not_there_is_a_mistake(signal):
    with pytest.raises(ValueError, match=r'among \[0, 1, 2\].*got \[3\]'):
        LoadSignalWindow([3])(dict(signal=signal))


@pytest.mark.parametrize('start', [90, 100, 1000])
def test_a_window_behind_the_end(stored, start):
    results = dict(filename=stored, start_sample=start, num_samples=20)
    with pytest.raises(OSError, match='holds 100 samples, wanted are'):
        LoadSignalWindow()(results)


def damaged(path, kind: str) -> None:
    if kind == 'objects':
        np.save(path, np.array([{}]), allow_pickle=True)
    elif kind == 'texts':
        np.save(path, np.array(['a']))
    elif kind == 'cube':
        np.save(path, np.zeros((2, 2, 2)))
    elif kind == 'scalar':
        np.save(path, np.float32(3))
    elif kind == 'nan':
        np.save(path, np.full((9, 1), np.nan))
    elif kind == 'cut':
        np.save(path, np.zeros((1000, 2)))
        path.write_bytes(path.read_bytes()[:500])
    else:
        path.write_bytes(b'' if kind == 'empty' else b'no array at all')


@pytest.mark.parametrize(
    'kind',
    ['objects', 'texts', 'cube', 'scalar', 'nan', 'cut', 'empty', 'text'],
)
def test_a_damaged_file_is_an_os_error_that_names_it(kind, tmp_path):
    path = tmp_path / 'bad.npy'
    damaged(path, kind)
    with pytest.raises(OSError, match=r'bad\.npy'):
        LoadSignalWindow()(dict(filename=str(path)))
    assert 'bad.npy' in str(find_damage({'sound': {'path': str(path)}}))


def test_a_whole_signal_is_no_damage(stored):
    assert find_damage({'vibration': {'path': stored}}) is None
    with pytest.raises(FileNotFoundError, match='data_prep'):
        open_signal('absent.npy')


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e18])
def test_windows_have_mean_0_and_deviation_1(signal, scale):
    results = dict(signal=(signal.T[None] * scale).astype(np.float32))
    found = StandardizeSignal()(results)['signal']
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(-1), 1, rtol=1e-5)


def test_a_constant_channel_becomes_zeros(signal):
    signal[:, 1] = 7
    found = StandardizeSignal()(dict(signal=signal.T[None]))['signal']
    assert not found[0, 1].any()
    assert np.isfinite(found).all()


def test_together_channels_keep_their_relative_strength(signal):
    signal[:, 0] *= 10
    signal = signal.T[None]
    found = StandardizeSignal(False)(dict(signal=signal))['signal']
    np.testing.assert_allclose((found**2).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(
        found.std(-1) / found.std(-1)[0, 0],
        signal.std(-1) / signal.std(-1)[0, 0],
        rtol=1e-4,
    )


@pytest.mark.parametrize('key', ['start_sample', 'num_samples'])
@pytest.mark.parametrize('value', [-1, 1.5, '0'])
def test_numbers_of_samples_are_checked(key, value, stored, tmp_path):
    entry = {'path': stored, key: value}
    sample = dict(id='a', domain='human', label=0, pressure=entry)
    write_annotation(tmp_path / 'a.json', [sample])
    with pytest.raises(ValueError, match=f'{key} must be a whole number'):
        AudioVisualDataset(str(tmp_path / 'a.json'), modalities=['pressure'])
