"""What test-time corruptions do to one frame or one waveform.

Frames are uint8 RGB of shape ``(H, W, 3)``, waveforms float64 of shape
``(L,)`` between -1 and 1; ``level`` is the strength in the unit that each
function names. Nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Array = np.ndarray
#: A function and its level by severity, 1 to 5.
Kind = tuple[Callable[..., Array], tuple[float, ...]]

# ImageNet-C is made for pictures of this size.
_REFERENCE_SIZE = 224


def blur(frame: Array, level: float, rng: np.random.Generator) -> Array:
    """Defocus: average over a disk of radius ``level`` pixels at 224."""
    del rng
    radius = level * min(frame.shape[:2]) / _REFERENCE_SIZE
    reach = max(1, int(np.ceil(radius)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return cv2.filter2D(frame, -1, disk / disk.sum())


def noise(frame: Array, level: float, rng: np.random.Generator) -> Array:
    """Gaussian noise of standard deviation ``level`` on a range of 1."""
    noisy = frame / 255 + rng.normal(0, level, frame.shape)
    return (255 * np.clip(noisy, 0, 1)).astype(np.uint8)


def compression(frame: Array, level: float, rng: np.random.Generator) -> Array:
    """JPEG of quality ``level``, picture by picture."""
    del rng
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(level)]
    _, code = cv2.imencode('.jpg', frame[..., ::-1], quality)
    damaged: Array = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return damaged[..., ::-1]


def brightness(frame: Array, level: float, rng: np.random.Generator) -> Array:
    """Add ``level``, on a range of 1, to the value of every pixel."""
    del rng
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + 255 * level, 0, 255).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def white_noise(
    wave: Array, level: float, rate: int, rng: np.random.Generator
) -> Array:
    """White noise ``level`` dB below the sound."""
    del rate
    return _add_at(wave, rng.normal(size=len(wave)), level)


def wind(
    wave: Array, level: float, rate: int, rng: np.random.Generator
) -> Array:
    """Wind-like noise ``level`` dB below the sound.

    Noise below about 200 Hz whose strength swells and fades within a second,
    rendered, not recorded.
    """
    from scipy.signal import butter, sosfilt

    rumble = sosfilt(
        butter(2, 200, fs=rate, output='sos'), rng.normal(size=len(wave))
    )
    gusts = np.interp(
        np.arange(len(wave)) / rate,
        np.arange(len(wave) // rate + 2),
        rng.uniform(0.1, 1, len(wave) // rate + 2),
    )
    return _add_at(wave, rumble * gusts, level)


def clipping(
    wave: Array, level: float, rate: int, rng: np.random.Generator
) -> Array:
    """Cut what exceeds ``level`` times the peak, and restore the peak."""
    del rate, rng
    peak = np.abs(wave).max(initial=0)
    if peak == 0:
        return wave
    return np.clip(wave, -level * peak, level * peak) / level


def reverberation(
    wave: Array, level: float, rate: int, rng: np.random.Generator
) -> Array:
    """A room whose sound falls by 60 dB within ``level`` seconds.

    The response is exponentially decaying noise behind the direct sound, as
    strong as it in sum; the level of the result is that of the sound.
    """
    from scipy.signal import fftconvolve

    times = np.arange(int(level * rate)) / rate
    tail = rng.normal(size=len(times)) * 10 ** (-3 * times / level)
    response = tail / np.linalg.norm(tail)
    response[0] += 1
    wet = fftconvolve(wave, response)[: len(wave)]
    return wet * (_rms(wave) / max(_rms(wet), 1e-12))


def _add_at(wave: Array, disturbance: Array, decibels: float) -> Array:
    loudness = _rms(wave) / max(_rms(disturbance), 1e-12)
    return wave + disturbance * loudness * 10 ** (-decibels / 20)


def _rms(wave: Array) -> float:
    return float(np.sqrt(np.mean(np.square(wave)))) if len(wave) else 0.0


VIDEO: dict[str, Kind] = {
    'blur': (blur, (3, 4, 6, 8, 10)),
    'noise': (noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    'compression': (compression, (25, 18, 15, 10, 7)),
    'brightness': (brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
}
AUDIO: dict[str, Kind] = {
    'noise': (white_noise, (20, 15, 10, 5, 0)),
    'wind': (wind, (15, 10, 5, 0, -5)),
    'clipping': (clipping, (0.5, 0.3, 0.2, 0.1, 0.05)),
    'reverberation': (reverberation, (0.2, 0.4, 0.7, 1.0, 1.5)),
}
