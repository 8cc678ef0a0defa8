"""A header is believed as far as the file can hold what it says."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from mmgmp.datasets import LoadAudioSegment, sound_file
from mmgmp.datasets.sound_file import is_sound_constant, read_segment
from tests.media_truth import noise, place_of


def head(rate: int, channels: int, size: int) -> bytes:
    """Header of a wav file of 16 bit that holds ``size`` bytes of sound."""
    return b''.join(
        [
            b'RIFF',
            struct.pack('<I', min(size + 36, 2**32 - 1)),
            b'WAVEfmt ',
            struct.pack('<IHHII', 16, 1, channels, rate, rate * channels * 2),
            struct.pack('<HH', channels * 2, 16),
            b'data',
            struct.pack('<I', size),
        ]
    )


@pytest.mark.parametrize(
    ('rate', 'channels', 'message'),
    [
        (1, 1, '1000 to 1000000 Hz, got 1;'),
        (999, 1, 'Hz, got 999;'),
        (2_000_000_000, 1, 'Hz, got 2000000000;'),
        (16000, 1000, 'at most 64 channels'),
        (16000, 0, 'cannot be read as sound'),
    ],
)
def test_absurd_headers(tmp_path, rate, channels, message):
    path = tmp_path / 'a.wav'
    path.write_bytes(head(rate, channels, 64000) + bytes(range(250)) * 256)
    with pytest.raises(OSError, match=rf'a\.wav.*{message}'):
        LoadAudioSegment(crop='none')(dict(filename=str(path)))


def test_memory_follows_the_file_and_not_its_header(tmp_path):
    path = tmp_path / 'a.wav'
    wave = (noise(1, 16000) * 32767).astype('<i2').tobytes()
    path.write_bytes(head(16000, 1, 2**32 - 100) + wave)
    tracemalloc.start()
    found, rate = read_segment(str(path), None, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found), rate) == (16000, 16000)
    assert peak < 2**22


def test_only_the_segment_is_read(tmp_path):
    path = str(tmp_path / 'a.wav')
    soundfile.write(path, np.tile(noise(10, 16000), 20), 16000)
    tracemalloc.start()
    found, _ = read_segment(path, 60.0, 61.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (16000,)
    assert peak < 2**20


def test_a_sound_too_long_to_hold_asks_for_a_segment(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.wav')
    soundfile.write(path, noise(8, 44100), 44100)
    monkeypatch.setattr(sound_file, 'MAX_SAMPLES', 100_000)
    with pytest.raises(OSError, match=r'a\.wav holds more.*start and stop'):
        read_segment(path, None, None)
    assert read_segment(path, 1.0, 2.0)[0].shape == (44100,)


def test_so_does_one_that_is_too_long_once_resampled(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.wav')
    soundfile.write(path, noise(8, 4000), 4000)
    monkeypatch.setattr(
        'mmgmp.datasets.transforms.audio_loading.MAX_SAMPLES', 100_000
    )
    with pytest.raises(OSError, match=r'a\.wav: 8 s are too long'):
        LoadAudioSegment()(dict(filename=path))


@pytest.mark.parametrize(
    ('name', 'container', 'subtype', 'rate'),
    [
        ('a.wav', 'WAV', 'PCM_24', 44100),
        ('a.wav', 'WAV', 'PCM_U8', 16000),
        ('a.flac', 'FLAC', 'PCM_16', 44100),
        ('a.ogg', 'OGG', 'VORBIS', 44100),
        ('a.opus', 'OGG', 'OPUS', 48000),
        ('a.mp3', 'MP3', 'MPEG_LAYER_III', 44100),
    ],
)
def test_a_segment_begins_where_it_should(
    tmp_path, name, container, subtype, rate
):
    path = str(tmp_path / name)
    soundfile.write(path, noise(6, rate), rate, subtype, format=container)
    results = dict(filename=path, start=3.25, stop=4.0)
    wave = LoadAudioSegment()(results)['waveform']
    place, sure = place_of(wave)
    assert place == pytest.approx(3.25, abs=1e-3)
    assert sure > 0.8
    assert len(wave) == 12000


def test_silence_is_told_from_sound_wherever_it_is(tmp_path):
    path = str(tmp_path / 'a.wav')
    wave = np.full(200_000, 0.2, np.float32)
    soundfile.write(path, wave, 16000)
    assert is_sound_constant(path)
    wave[-1] = 0.3
    soundfile.write(path, wave, 16000, 'FLOAT')
    assert not is_sound_constant(path)
    assert is_sound_constant(path, stop=12.0)
