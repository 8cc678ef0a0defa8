"""Sound is where its picture is, whatever the container made of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from mmgmp.datasets import sound_track
from mmgmp.datasets.sound_track import (
    SoundTrackError,
    read_sound_track,
    sound_blocks,
)
from tests.media_truth import (
    constant,
    cut,
    noise,
    place_of,
    shown,
    write_media,
)

COUNT = 72
FAULTS = {
    'late sound and a gap': dict(sound_start=0.4, sound_gaps=[(1.2, 1.6)]),
    'late picture': dict(late=0.5),
    # On a picture: FFmpeg moves pictures, not sound, to the start of an edit.
    'cut': dict(cut=0.75),
}
# Containers, an encoder of pictures, encoders of sound that they take.
PICTURES = {
    'mp4': 'mpeg4', 'mov': 'mpeg4', 'm4v': 'mpeg4', '3gp': 'mpeg4',
    'f4v': 'libx264', 'mkv': 'mpeg4', 'webm': 'libvpx', 'flv': 'flv',
    'ts': 'mpeg2video', 'm2ts': 'mpeg2video', 'mpg': 'mpeg2video',
    'vob': 'mpeg2video', 'avi': 'mpeg4', 'asf': 'mpeg4',
    'wmv': 'mpeg4', 'nut': 'mpeg4',
}  # fmt: skip
CODED = ('aac', 'ac3', 'eac3', 'libmp3lame', 'libopus', 'mp2')
SOUNDS = (*CODED, 'alac', 'flac', 'pcm_f32le', 'pcm_s16be', 'pcm_s16le')


def is_stored(container: str, sound: str, fault: str) -> bool:
    """Whether the file holds what was written, as FFmpeg reads it."""
    is_plain = sound.startswith('pcm')
    if container in ('ts', 'm2ts'):
        return sound in CODED
    if container in ('mp4', 'mov', 'm4v', '3gp', 'f4v'):
        # Plain samples are counted there, gaps in them left out.
        return not (is_plain and 'gap' in fault)
    if container in ('mpg', 'vob'):
        # FFmpeg writes plain samples here with stamps that run away.
        return not is_plain
    if container == 'avi':
        return is_plain and fault == 'late picture'
    # FLAC in ASF comes with stamps that are 0.9 s late.
    return (container, sound) not in {('asf', 'flac'), ('wmv', 'flac')}


def write(path: Path, sound: str, **fault) -> None:
    codec = PICTURES[path.suffix[1:]]
    times = constant(COUNT, fault.pop('late', 0.0))
    seconds = fault.pop('cut', 0.0)
    source = path.with_stem('whole') if seconds else path
    base = Fraction(1, 24)
    write_media(
        source,
        times,
        codec=codec,
        sound=sound,
        time_base=base,
        options={'g': '12', 'bf': '0'},
        **fault,
    )
    if seconds:
        cut(source, path, seconds)


def distance(path: Path, late: float = 0.0) -> float:
    """Largest distance in s between what is seen and what is heard."""
    wave = read_sound_track(path)
    times = constant(COUNT, late)
    shift = np.median([p.seconds - times[p.number] for p in shown(path)])
    worst = 0.0
    for first in (int(0.6 * 16000), len(wave) - 8000):
        place, sure = place_of(wave[first : first + 6400])
        assert sure > 0.8
        worst = max(worst, abs(place - (first / 16000 - shift)))
    return worst


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize(
    ('container', 'sound'),
    [('mp4', 'aac'), ('mkv', 'libopus'), ('flv', 'flac'), ('ts', 'mp2')],
)
def test_sound_is_where_its_picture_is(tmp_path, container, sound, fault):
    path = tmp_path / f'a.{container}'
    write(path, sound, **FAULTS[fault])
    assert distance(path, FAULTS[fault].get('late', 0.0)) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('sound', SOUNDS)
@pytest.mark.parametrize('container', PICTURES)
def test_on_every_container(tmp_path, container, sound, fault):
    if not is_stored(container, sound, fault):
        pytest.skip('the container does not store it')
    path = tmp_path / f'a.{container}'
    try:
        write(path, sound, **FAULTS[fault])
    except (ValueError, av.FFmpegError) as error:
        pytest.skip(f'cannot be written: {error}')
    assert distance(path, FAULTS[fault].get('late', 0.0)) < 2e-3


# -- stamps that no encoder here writes -----------------------------------

RATE, BLOCK = 48000, 1024


def frames(stamps, rates=(RATE,), layout='mono', scale=1.0) -> list:
    """Noise block by block: ``stamps`` maps true seconds to stored ones."""
    made, second = [], 0.0
    while second < 3:
        rate = rates[min(int(second), len(rates) - 1)]
        first = round(second * rate)
        wave = noise(4, rate)[None, first : first + BLOCK] * scale
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave, np.float32), 'fltp', layout
        )
        stamp = stamps(second)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, 90000)
        frame.pts = None if stamp is None else round(stamp * 90000)
        made.append(frame)
        second += BLOCK / rate
    return made


@pytest.fixture
def decoded(monkeypatch, tmp_path):
    """Read frames as if a file held them, which says how long it lasts."""

    def read(found, seconds=3.0):
        path = tmp_path / 'x.mov'
        count = round(seconds * 24)
        write_media(path, constant(count), codec='mpeg4', sound='pcm_s16le')
        monkeypatch.setattr(sound_track, '_decode', lambda *_: iter(found))
        return read_sound_track(path)

    return read


def places(wave: np.ndarray, *seconds: float) -> list[float]:
    """How far the noise at these seconds is from where it belongs, in s."""
    off = []
    for second in seconds:
        first = round(second * 16000)
        place, sure = place_of(wave[first : first + 3200])
        assert sure > 0.8
        off.append(abs(place - second))
    return off


@pytest.mark.parametrize(
    'stamps',
    [
        lambda t: None,
        lambda t: t if t < 1 else None,
        lambda t: round(t, 3),
        lambda t: t + 0.03 * (round(t * 1000) % 7 == 1),
        lambda t: t + np.random.default_rng(int(t * 1e6)).uniform(0, 2e-2),
        lambda t: t if t < 1 else t - 500,
    ],
    ids=['none', 'lost', 'rounded', 'outliers', 'jitter', 'restart'],
)
def test_stamps_that_waver_are_counted(decoded, stamps):
    wave = decoded(frames(stamps))
    assert max(places(wave, 0.1, 1.2, 2.5)) < (21e-3, 2e-3)[stamps(0) == 0]
    assert len(wave) == pytest.approx(3 * 16000, abs=600)


def test_a_clock_that_begins_anew_is_said_once(decoded, monkeypatch):
    said = []
    monkeypatch.setattr(
        sound_track, 'print_log', lambda text, **_: said.append(text)
    )
    decoded(frames(lambda t: t if t < 1 else t - 500))
    assert len(said) == 1
    assert 'x.mov: the time stamps of the sound go back by 500.0 s' in said[0]


def test_single_lost_packets_are_silence(decoded):
    found = frames(lambda t: t)
    for number in (100, 60, 58, 20):
        del found[number]
    wave = decoded(found)
    assert max(places(wave, 0.0, 0.6, 1.0, 1.3, 2.2)) < 1e-3
    lost = round(60 * BLOCK / 3)
    assert not wave[lost + 20 : lost + 320].any()


def test_sound_that_overlaps_is_heard_once(decoded):
    found = frames(lambda t: t)
    again = frames(lambda t: t)[40:48]
    wave = decoded([*found[:48], *again, *found[48:]])
    assert max(places(wave, 0.5, 1.2, 2.5)) < 1e-3


def test_sound_before_second_0_is_cut_off(decoded):
    wave = decoded(frames(lambda t: t - 0.5))
    assert place_of(wave[:3200])[0] == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(SoundTrackError, match=r'x\.mov.*before second 0'):
        decoded(frames(lambda t: t - 50))


def test_a_rate_that_changes_on_the_way(decoded):
    wave = decoded(frames(lambda t: t, rates=(48000, 44100, 32000)))
    assert max(places(wave, 0.1, 0.9, 1.4, 2.4)) < 1e-3


@pytest.mark.parametrize('start', [0.0, 1.0])
def test_a_jump_of_hours_is_an_error(decoded, start):
    with pytest.raises(SoundTrackError, match=r'x\.mov.*jump from'):
        decoded(frames(lambda t: t if t < start else t + 7200))


def test_values_of_a_track_are_checked(decoded):
    broken = frames(lambda t: t)
    broken[70] = frames(lambda t: t, scale=np.nan)[70]
    with pytest.raises(SoundTrackError, match=r'x\.mov.*NaN'):
        decoded(broken)
    with pytest.raises(SoundTrackError, match=r'x\.mov.*scale of integers'):
        decoded(frames(lambda t: t, scale=32768))


# -- whole files ----------------------------------------------------------


def test_channels_of_opposite_sign_are_an_error(tmp_path):
    path = tmp_path / 'a.wav'
    wave = noise(1, 16000)
    soundfile.write(path, np.stack([wave, -wave], 1), 16000)
    with pytest.raises(SoundTrackError, match=r'a\.wav.*cancel each other'):
        read_sound_track(path)
    soundfile.write(path, np.stack([wave, 0 * wave], 1), 16000)
    found = read_sound_track(path)
    np.testing.assert_allclose(found, wave / 2, atol=1e-4)


def test_without_a_track_there_is_none(tmp_path):
    write_media(tmp_path / 'a.mp4', constant(4), codec='mpeg4')
    assert read_sound_track(tmp_path / 'a.mp4') is None
    assert list(sound_blocks(tmp_path / 'a.mp4')) == []


def test_metadata_in_another_encoding(tmp_path):
    path = tmp_path / 'a.mp4'
    write_media(path, constant(24), codec='mpeg4', sound='aac')
    content = path.read_bytes()
    path.write_bytes(content.replace(b'Lavf', b'\xffavf'))
    assert len(read_sound_track(path)) == pytest.approx(16000, abs=600)


def test_a_track_too_long_for_memory_is_an_error(tmp_path):
    soundfile.write(tmp_path / 'a.wav', noise(3, 16000), 16000)
    with pytest.raises(SoundTrackError, match=r'a\.wav.*more than 2 s'):
        read_sound_track(tmp_path / 'a.wav', max_seconds=2)


def test_an_absurd_rate_is_an_error(tmp_path):
    path = tmp_path / 'a.wav'
    soundfile.write(path, noise(1, 16000), 1)
    with pytest.raises(SoundTrackError, match=r'a\.wav.*1000 to 1000000 Hz'):
        read_sound_track(path)
