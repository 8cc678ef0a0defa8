from __future__ import annotations

import numpy as np
import pytest

from mmgmp.datasets import LoadAudioSegment
from mmgmp.testing.media import write_audio


@pytest.fixture
def ramp(tmp_path):
    """Two seconds whose value tells the position; the right one is half."""
    left = np.arange(32000) / 32768
    path = tmp_path / 'ramp.wav'
    write_audio(path, np.stack([left, left / 2], axis=1))
    return str(path)


@pytest.mark.parametrize(
    ('options', 'keys', 'first', 'last'),
    [
        ({}, {}, 0, 32000),
        ({}, {'start': 0.5, 'stop': 1.5}, 8000, 24000),
        ({}, {'start': 1.5}, 24000, 32000),
        ({}, {'start': 1.5, 'stop': 9.0}, 24000, 32000),
        ({'crop': 'none'}, {'start': 0.5, 'stop': 1.5}, 0, 32000),
        ({'crop': 'clip'}, {'clip_seconds': (0.25, 1.0)}, 4000, 16000),
        (
            {'crop': 'clip', 'clip_fps': 24},
            {'clip_frames': (12, 36), 'clip_seconds': (0.0, 0.1)},
            8000,
            24000,
        ),
    ],
)
def test_segment_is_the_one_asked_for(ramp, options, keys, first, last):
    results = LoadAudioSegment(**options)(dict(filename=ramp, **keys))
    expected = np.arange(first, last) / 32768
    assert results['waveform'].dtype == np.float32
    assert results['sample_rate'] == 16000
    assert results['waveform'].shape == expected.shape
    np.testing.assert_allclose(results['waveform'], expected, atol=1e-4)


def test_channels(ramp):
    first = LoadAudioSegment()(dict(filename=ramp))['waveform']
    mean = LoadAudioSegment(channel='mean')(dict(filename=ramp))['waveform']
    np.testing.assert_allclose(mean, 0.75 * first, atol=1e-4)


def test_another_rate_is_resampled(tmp_path):
    path = str(tmp_path / 'tone.wav')
    seconds = np.arange(44100) / 44100
    write_audio(path, 0.5 * np.sin(2 * np.pi * 440 * seconds), 44100)
    wave = LoadAudioSegment()(dict(filename=path))['waveform']
    assert wave.shape == (16000,)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(wave[500:-500], expected[500:-500], atol=1e-3)


@pytest.mark.parametrize('clip', [(1.0, 1.0), (1.5, 0.5), (7.0, 8.0)])
def test_empty_segment_is_silence_or_an_error(ramp, clip):
    results = dict(filename=ramp, clip_seconds=clip)
    wave = LoadAudioSegment(crop='clip')(dict(results))['waveform']
    assert wave.shape == (0,)
    with pytest.raises(OSError, match=r"no sound.*on_empty='zeros'"):
        LoadAudioSegment(crop='clip', on_empty='raise')(dict(results))


def test_waveform_passes_like_a_file():
    wave = np.linspace(-1, 1, 32000)
    results = dict(waveform=wave, sample_rate=16000, start=1.0, stop=1.5)
    loaded = LoadAudioSegment()(results)['waveform']
    np.testing.assert_allclose(loaded, wave[16000:24000], atol=1e-6)


@pytest.mark.parametrize('clip_fps', [None, 24.0])
def test_clip_crop_needs_an_earlier_modality(ramp, clip_fps):
    transform = LoadAudioSegment(crop='clip', clip_fps=clip_fps)
    with pytest.raises(ValueError, match='put the video list before'):
        transform(dict(filename=ramp))


def test_missing_file_names_data_prep(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent.wav.*data_prep'):
        LoadAudioSegment()(dict(filename=str(tmp_path / 'absent.wav')))


def test_unreadable_file_is_an_os_error(tmp_path):
    (tmp_path / 'bad.wav').write_bytes(b'no sound at all')
    with pytest.raises(OSError, match=r'bad.wav cannot be read as sound'):
        LoadAudioSegment()(dict(filename=str(tmp_path / 'bad.wav')))


@pytest.mark.parametrize(
    'options',
    [
        {'crop': 'middle'},
        {'channel': 'right'},
        {'on_empty': 'noise'},
        {'sample_rate': 0},
        {'clip_fps': -24},
    ],
)
def test_bad_options_name_their_key(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LoadAudioSegment(**options)
