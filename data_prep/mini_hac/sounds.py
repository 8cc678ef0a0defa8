"""Synthetic sound: the class is a pattern, the domain is how it sounds.

A domain shifts the pitch, colours the spectrum, adds a room and a background
noise of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

SAMPLE_RATE = 16000
Pattern = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Room:
    """How one domain sounds.

    Args:
        pitch: Factor of all pitches.
        band: Lower and upper edge of what comes through, in Hz.
        snr_db: Range of the signal-to-noise ratio in dB.
        noise_slope: Background noise: 0 white, 1 pink, 2 brown.
        reverberation: Time to decay by 60 dB, in seconds.
        drive: Strength of the distortion; 0 is none.
        unheard: Share of clips in which the action is not heard, as in
            recorded video.
    """

    pitch: float
    band: tuple[float, float]
    snr_db: tuple[float, float]
    noise_slope: float
    reverberation: float
    drive: float
    unheard: float = 0.3


ROOMS: Mapping[str, Room] = {
    'human': Room(1.0, (60, 7500), (-13, 2), 0.8, 0.15, 0.0),
    'animal': Room(1.8, (120, 5500), (-13, 2), 1.3, 0.45, 0.5),
    'cartoon': Room(1.35, (250, 7800), (-13, 2), 0.2, 0.08, 1.8),
}


def phase_of(frequency: np.ndarray) -> np.ndarray:
    """Phase in radians of a course of frequencies in Hz."""
    return 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE


def saw(cycles: np.ndarray) -> np.ndarray:
    """Position within the cycle, 0 to 1."""
    return cycles % 1.0


def band_noise(
    rng: np.random.Generator, length: int, low: float, high: float
) -> np.ndarray:
    """Noise between two frequencies in Hz, of deviation 1."""
    edges = (low, min(high, 0.48 * SAMPLE_RATE))
    sos = butter(2, edges, 'bandpass', fs=SAMPLE_RATE, output='sos')
    noise = sosfilt(sos, rng.normal(size=length))
    return noise / noise.std()


def _breath(
    t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    noise = band_noise(rng, len(t), 250 * pitch, 900 * pitch)
    rate, phase = rng.uniform(0.9, 1.3), rng.uniform()
    return noise * np.sin(np.pi * saw(rate * t + phase)) ** 2


def _notes(
    t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    steps = (rng.uniform(4, 6) * t).astype(int)
    scale = 2 ** (rng.integers(0, 13, steps.max() + 1) / 12)
    phase = phase_of(260 * pitch * scale[steps])
    return sum(np.sin(k * phase) / k for k in (1, 2, 3))


def _crunch(
    t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    noise = band_noise(rng, len(t), 900 * pitch, 3400 * pitch)
    cycle = saw(rng.uniform(2.6, 3.6) * t + rng.uniform())
    return noise * np.exp(-9 * cycle)


def _gulp(t: np.ndarray, pitch: float, rng: np.random.Generator) -> np.ndarray:
    cycle = saw(rng.uniform(2.6, 3.6) * t + rng.uniform())
    phase = phase_of(300 * pitch * 4**cycle)
    return np.sin(phase) * np.sin(np.pi * cycle)


def _splash(
    t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    swing = np.sin(2 * np.pi * (rng.uniform(0.9, 1.4) * t + rng.uniform()))
    low = band_noise(rng, len(t), 400 * pitch, 800 * pitch)
    high = band_noise(rng, len(t), 1600 * pitch, 3000 * pitch)
    return low * (1 + swing) / 2 + high * (1 - swing) / 2


def _steps(
    t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    rate = rng.uniform(5, 6.5)
    cycle = saw(rate * t + rng.uniform())
    thump = np.sin(2 * np.pi * 150 * pitch * cycle / rate)
    click = band_noise(rng, len(t), 2000, 6000) * np.exp(-60 * cycle)
    return 1.5 * thump * np.exp(-8 * cycle) + 0.4 * click


def _creak(
    t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    cycle = saw(rng.uniform(0.9, 1.4) * t + rng.uniform())
    vibrato = 1 + 0.06 * np.sin(2 * np.pi * 9 * t)
    phase = phase_of(900 * pitch * 0.4**cycle * vibrato)
    return sum(np.sin(k * phase) / k for k in (1, 2, 3))


# Class number to its pattern.
PATTERNS: tuple[Pattern, ...] = (
    _breath,
    _notes,
    _crunch,
    _gulp,
    _splash,
    _steps,
    _creak,
)


def render_sound(
    domain: str, label: int, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """Make one sound of a domain and class.

    Args:
        domain: Key of :data:`ROOMS`.
        label: Class number, index of :data:`PATTERNS`.
        seconds: Length in seconds.
        rng: Source of everything random.

    Returns:
        Array of shape ``(L,)`` at 16 kHz, between -1 and 1.

    Example:
        >>> render_sound('human', 2, 0.5, np.random.default_rng(0)).shape
        (8000,)
    """
    return play(ROOMS[domain], PATTERNS[label], seconds, rng)


def play(
    room: Room, pattern: Pattern, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """Make one sound of any room and pattern.

    Args:
        room: How it sounds.
        pattern: Makes the sound from times, pitch and generator.
        seconds: Length in seconds.
        rng: Source of everything random.

    Returns:
        Array of shape ``(L,)`` at 16 kHz, between -1 and 1.
    """
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = room.pitch * 2 ** rng.uniform(-0.3, 0.3)
    sound = pattern(t, pitch, rng)
    sound = _reverberate(sound, room.reverberation, rng)
    sound = sound / (sound.std() + 1e-9)
    if room.drive:
        sound = np.tanh(room.drive * sound)
        sound = sound / sound.std()
    ratio = 10 ** (-rng.uniform(*room.snr_db) / 20)
    if rng.uniform() < room.unheard:
        sound = 0 * sound
    sound = sound + ratio * _coloured(len(t), room.noise_slope, rng)
    sos = butter(2, room.band, 'bandpass', fs=SAMPLE_RATE, output='sos')
    sound = sosfilt(sos, sound)
    return sound / np.abs(sound).max() * rng.uniform(0.3, 0.9)


def _reverberate(
    sound: np.ndarray, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(size=len(t)) * np.exp(-6.9 * t / seconds)
    tail = 0.5 * tail / np.linalg.norm(tail)
    tail[0] += 1
    return fftconvolve(sound, tail)[: len(sound)]


def _coloured(
    length: int, slope: float, rng: np.random.Generator
) -> np.ndarray:
    """Noise whose power falls with frequency to the power ``slope``."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    frequency = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 20)
    noise = np.fft.irfft(spectrum * frequency ** (-slope / 2), length)
    return noise / noise.std()
