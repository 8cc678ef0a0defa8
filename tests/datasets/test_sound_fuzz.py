"""Damaged sound files end in sound that can be used, or in our error."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from packaging.version import Version

from mmgmp.datasets import LoadAudioSegment
from mmgmp.datasets.sound_track import read_sound_track
from tests.fuzzing import fuzz
from tests.media_truth import constant, noise, write_media

KINDS = {
    'pcm.wav': ('WAV', 'PCM_16', 16000),
    'float.wav': ('WAV', 'FLOAT', 44100),
    'a.flac': ('FLAC', 'PCM_16', 44100),
    'a.ogg': ('OGG', 'VORBIS', 16000),
    'a.opus': ('OGG', 'OPUS', 16000),
    'b.mp3': ('MP3', 'MPEG_LAYER_III', 16000),
}


@pytest.fixture(scope='module')
def sounds() -> dict[str, bytes]:
    contents = {}
    for name, (container, subtype, rate) in KINDS.items():
        file = io.BytesIO()
        wave = np.stack([noise(1, rate), 0.5 * noise(1, rate)], axis=1)
        soundfile.write(file, wave, rate, subtype, format=container)
        contents[name] = file.getvalue()
    return contents


def is_usable(wave: np.ndarray | None) -> bool:
    return wave is None or bool(np.abs(wave).max(initial=0) < 20)


def test_damaged_sound_files(sounds, tmp_path):
    def read(path: Path) -> np.ndarray:
        results = dict(filename=str(path), clip_seconds=(0.2, 0.8))
        LoadAudioSegment(crop='clip')(dict(results))
        return LoadAudioSegment(on_silence='keep')(results)['waveform']

    LoadAudioSegment()(dict(waveform=noise(1, 44100), sample_rate=44100))
    assert not fuzz(read, sounds, tmp_path, (OSError,), is_usable)


@pytest.fixture(scope='module')
def films(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp('films')
    contents = {}
    kinds = [
        ('aac.mp4', 'mpeg4', 'aac'),
        ('opus.mkv', 'mpeg4', 'libopus'),
        ('mp3.avi', 'mpeg4', 'libmp3lame'),
        ('mp2.ts', 'mpeg1video', 'mp2'),
        ('pcm.mov', 'mpeg4', 'pcm_s16le'),
    ]
    # The decoder itself crashes before (docs/security.md).
    if Version(av.__version__) >= Version('18.1'):
        kinds.append(('flac.flv', 'flv', 'flac'))
    for name, codec, sound in kinds:
        path = folder / name
        write_media(
            path,
            constant(24),
            codec=codec,
            sound=sound,
            time_base=Fraction(1, 24),
        )
        contents[name] = path.read_bytes()
    return contents


def test_damaged_sound_tracks(films, tmp_path):
    found = fuzz(read_sound_track, films, tmp_path, (OSError,), is_usable)
    assert not found
