"""What a waveform must be, whichever reader it comes from."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

#: Rate of the sounds that the shipped configs read, in Hz.
SAMPLE_RATE = 16000
#: Sample rates that are believed, in Hz.
MIN_RATE, MAX_RATE = 1000, 1_000_000
#: Largest value that float sound may have: 18 dB above full scale. What is
#: beyond it is in the scale of integers.
MAX_PEAK = 8.0
#: A waveform that moves by no more than this is constant: three steps of
#: 16 bit.
SILENCE = 1e-4
_CANCELLED = 0.01


class WaveformError(OSError):
    """A waveform that cannot be used; the message names its file."""


def check_sample_rate(rate: Any, name: str) -> None:
    """Refuse a sample rate that no sound has.

    Args:
        rate: Hz.
        name: File, for the message.

    Raises:
        WaveformError: If it is no number, or outside 1 kHz to 1 MHz.

    Example:
        >>> check_sample_rate(1, 'a.wav')
        Traceback (most recent call last):
            ...
        mmgmp.datasets.waveform_checks.WaveformError: a.wav: the sample rate \
must be from 1000 to 1000000 Hz, got 1; is its header damaged?
    """
    is_number = isinstance(rate, Real) and not isinstance(rate, bool)
    if not is_number or not MIN_RATE <= float(rate) <= MAX_RATE:
        raise WaveformError(
            f'{name}: the sample rate must be from {MIN_RATE} to {MAX_RATE} '
            f'Hz, got {rate}; is its header damaged?'
        )


def check_finite(wave: np.ndarray, name: str) -> float:
    """Refuse samples that are no numbers.

    Args:
        wave: Float samples of any shape.
        name: File, for the message.

    Returns:
        The largest size of a sample, 0.0 if there is none.

    Raises:
        WaveformError: If one is NaN or infinite.

    Example:
        >>> check_finite(np.array([0.5, -1.5]), 'a.wav')
        1.5
    """
    peak = float(np.abs(wave).max(initial=0))
    if not math.isfinite(peak):
        raise WaveformError(
            f'{name} holds samples that are NaN or infinite; write it again, '
            "or let the dataset skip it with on_error='skip'"
        )
    return peak


def check_values(wave: np.ndarray, name: str) -> None:
    """Refuse samples that are no numbers, or in the scale of integers.

    Args:
        wave: Float samples of any shape.
        name: File, for the message.

    Raises:
        WaveformError: If one is NaN, infinite, or beyond 8 in size.

    Example:
        >>> check_values(np.array([0.5, 1.2]), 'a.wav')
    """
    peak = check_finite(wave, name)
    if peak > MAX_PEAK:
        raise WaveformError(
            f'{name} must hold samples between -1 and 1, its largest is '
            f'{peak:.6g}: float sound in the scale of integers? Divide it by '
            "32768 (16 bit), or let the dataset skip it with on_error='skip'"
        )


def check_mix(mixed: float, channels: float, name: str) -> None:
    """Refuse channels of opposite sign, of which a mix leaves nothing.

    Args:
        mixed: Peak, or peak to peak, of the mix.
        channels: The same of the loudest channel.
        name: File, for the message.

    Raises:
        WaveformError: If the mix is 40 dB below the channel.

    Example:
        >>> check_mix(0.4, 0.5, 'a.wav')
    """
    if channels > SILENCE and mixed < _CANCELLED * channels:
        raise WaveformError(
            f'{name}: the channels cancel each other when they are mixed to '
            'one (opposite sign); turn one of them round, or keep only the '
            "first (channel='first' of LoadAudioSegment, or ffmpeg -i FILE "
            '-af pan=mono|c0=c0 NEW)'
        )


def is_constant(wave: np.ndarray) -> bool:
    """Whether a waveform does not move: silence, or a constant offset.

    Args:
        wave: Shape ``(L,)``.

    Returns:
        True also for an empty one.

    Example:
        >>> is_constant(np.full(9, 0.25)), is_constant(np.array([0.0, 0.1]))
        (True, False)
    """
    return not len(wave) or float(np.ptp(wave)) <= SILENCE
