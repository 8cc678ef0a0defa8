from __future__ import annotations

import numpy as np
import pytest
import soundfile

from mmgmp.datasets import LoadAudioSegment
from mmgmp.datasets.transforms import audio_loading
from mmgmp.testing.media import write_audio
from tests.media_truth import noise


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
    expected = 0.75 * np.arange(first, last) / 32768
    assert results['waveform'].dtype == np.float32
    assert results['sample_rate'] == 16000
    assert results['waveform'].shape == expected.shape
    np.testing.assert_allclose(results['waveform'], expected, atol=1e-4)


def load(path, **options) -> np.ndarray:
    return LoadAudioSegment(**options)(dict(filename=str(path)))['waveform']


def test_channels(ramp):
    mean, first = load(ramp), load(ramp, channel='first')
    np.testing.assert_allclose(mean, 0.75 * first, atol=1e-4)


def test_no_channel_is_overheard(tmp_path):
    """5.1 and stereo with the first channel silent; signs that cancel."""
    path = tmp_path / 'a.wav'
    wave = noise(1, 16000)
    for channels in (2, 6):
        write_audio(path, wave[:, None] * (np.arange(channels) == 1))
        assert np.corrcoef(load(path), wave)[0, 1] > 0.99
    write_audio(path, np.stack([wave, -wave], axis=1))
    with pytest.raises(OSError, match=r'a\.wav.*cancel each other'):
        load(path)
    np.testing.assert_allclose(load(path, channel='first'), wave, atol=1e-4)


# -- what cannot be used is an OSError that names the file ----------------


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: np.where(w == w.max(), np.nan, w), 'NaN or infinite'),
        (lambda w: np.where(w == w.max(), np.inf, w), 'NaN or infinite'),
        (lambda w: w * 32767, 'scale of integers'),
        (lambda w: w * 128, 'scale of integers'),
        (lambda w: 0 * w, 'empty, or constant'),
        (lambda w: 0 * w + 0.3, 'empty, or constant'),
        (lambda w: w[:0], 'empty, or constant'),
    ],
)
def test_values_are_checked_after_decoding(tmp_path, change, message):
    path = tmp_path / 'a.wav'
    wave = change(noise(1, 16000)).astype(np.float32)
    soundfile.write(path, wave, 16000, 'FLOAT')
    with pytest.raises(OSError, match=rf'a\.wav.*{message}'):
        load(path)
    with pytest.raises(OSError, match=f'the waveform.*{message}'):
        LoadAudioSegment()(dict(waveform=wave, sample_rate=16000))


def test_loud_sound_is_sound(tmp_path):
    soundfile.write(tmp_path / 'a.wav', 7 * noise(1, 16000), 16000, 'FLOAT')
    assert load(tmp_path / 'a.wav').max() > 1


@pytest.fixture
def quiet(tmp_path):
    """Silence for 1 s, noise for 1 s, silence for 1 s."""
    wave = np.zeros(48000, np.float32)
    wave[16000:32000] = noise(1, 16000)
    write_audio(tmp_path / 'quiet.wav', wave)
    return str(tmp_path / 'quiet.wav')


@pytest.mark.parametrize('clip', [(0.2, 0.8), (2.9, 4.0)])
def test_a_silent_clip_of_a_sample_with_sound_is_silence(quiet, clip):
    transform = LoadAudioSegment(crop='clip', on_silence='raise')
    results = dict(filename=quiet, clip_seconds=clip)
    wave = transform(dict(results))['waveform']
    assert len(wave)
    assert not wave.any()
    # The annotated action is silent, though its recording is not.
    with pytest.raises(OSError, match=r'quiet\.wav holds no sound from 2\.1'):
        transform(dict(results, start=2.1, stop=2.9))


def test_a_silent_sample_can_be_kept_and_is_named(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        audio_loading, 'print_log', lambda text, **_: said.append(text)
    )
    path = tmp_path / 'a.wav'
    write_audio(path, np.zeros(16000))
    transform = LoadAudioSegment(on_silence='keep')
    for _ in range(3):
        wave = transform(dict(filename=str(path)))['waveform']
        assert not wave.any()
        assert len(wave) == 16000
    assert len(said) == 1
    assert f'{path} holds no sound' in said[0]


@pytest.mark.parametrize(
    'segment',
    [
        {'start': float('nan')},
        {'start': 0.5, 'stop': float('inf')},
        {'start': '0.5'},
    ],
)
def test_seconds_that_are_none(ramp, segment):
    with pytest.raises(OSError, match=r'ramp\.wav: st.*finite number'):
        LoadAudioSegment()(dict(filename=ramp, **segment))


@pytest.mark.parametrize('start', [1e300, 5.0])
def test_a_segment_behind_the_end(ramp, start):
    with pytest.raises(OSError, match=r'ramp\.wav holds no sound from'):
        LoadAudioSegment()(dict(filename=ramp, start=start))


def test_an_empty_clip_is_silence_or_an_error_for_arrays_too():
    wave = noise(1, 16000)
    results = dict(waveform=wave, sample_rate=16000, clip_seconds=(0.5, 0.5))
    found = LoadAudioSegment(crop='clip')(dict(results))['waveform']
    assert found.shape == (0,)
    with pytest.raises(OSError, match=r"the waveform.*on_empty='zeros'"):
        LoadAudioSegment(crop='clip', on_empty='raise')(dict(results))


def test_what_librosa_refuses_names_the_file(tmp_path, monkeypatch):
    import librosa

    def refuse(*_, **__):
        raise librosa.ParameterError('no')

    monkeypatch.setattr(librosa, 'resample', refuse)
    soundfile.write(tmp_path / 'a.wav', noise(1, 44100), 44100)
    with pytest.raises(OSError, match=r'a\.wav cannot be brought from 44100'):
        load(tmp_path / 'a.wav')


# -- a clip that is looped ------------------------------------------------


def test_a_loop_is_heard_as_it_is_seen(tmp_path):
    wave = noise(2, 16000)
    soundfile.write(tmp_path / 'a.wav', wave, 16000, 'FLOAT')
    results = dict(
        filename=str(tmp_path / 'a.wav'),
        clip_seconds=(0.5, 0.25),
        clip_spans=((0.5, 1.0), (0.0, 1.0), (0.0, 0.25)),
    )
    heard = LoadAudioSegment(crop='clip')(dict(results))['waveform']
    expected = [wave[8000:16000], wave[:16000], wave[:4000]]
    np.testing.assert_array_equal(heard, np.concatenate(expected))
    published = LoadAudioSegment(crop='clip', on_loop='published')
    assert published(dict(results))['waveform'].shape == (0,)
    del results['clip_spans']
    once = LoadAudioSegment(crop='clip')(results | {'clip_seconds': (0, 0.25)})
    np.testing.assert_array_equal(once['waveform'], wave[:4000])


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
        {'clip_fps': float('nan')},
        {'on_silence': 'zeros'},
        {'on_loop': 'once'},
    ],
)
def test_bad_options_name_their_key(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LoadAudioSegment(**options)
