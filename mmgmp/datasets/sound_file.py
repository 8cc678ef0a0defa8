"""Read a part of a sound file, and no more than a sound file can hold."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
import soundfile

from mmgmp.datasets.transforms.frame_index import check_media_file
from mmgmp.datasets.waveform_checks import (
    SILENCE,
    WaveformError,
    check_mix,
    check_sample_rate,
    check_values,
)

CHANNELS = ('mean', 'first')
#: Channels of a file.
MAX_CHANNELS = 64
#: Samples that are held at once: 2.3 hours at 16 kHz, 512 MiB.
MAX_SAMPLES = 1 << 27
_BLOCK = 1 << 16


@contextmanager
def open_sound(path: str) -> Iterator[soundfile.SoundFile]:
    """Open a sound file whose header can be believed, and close it.

    Args:
        path: File that libsndfile reads: wav, flac, ogg, opus, mp3, aiff.

    Yields:
        The file.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read, also where that shows only while the
            caller reads, or its rate or number of channels is absurd.
    """
    check_media_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            check_sample_rate(file.samplerate, path)
            if file.channels > MAX_CHANNELS:
                raise WaveformError(
                    f'{path} must have at most {MAX_CHANNELS} channels, its '
                    f'header says {file.channels}; is it damaged?'
                )
            yield file
    except soundfile.LibsndfileError as error:
        raise OSError(
            f'{path} cannot be read as sound ({error}); fetch or extract it '
            "again, or let the dataset skip it with on_error='skip'"
        ) from error


def sample_range(
    start: Any, stop: Any, rate: float, length: int, name: str
) -> tuple[int, int]:
    """Bring a segment in seconds to samples that are there.

    Args:
        start: First second; None is the beginning.
        stop: Last second; None is the end.
        rate: Hz.
        length: Number of samples.
        name: File, for the message.

    Returns:
        First sample and the one behind the last, in ``[0, length]``; the same
        one twice if the segment is empty.

    Raises:
        WaveformError: If a second is no finite number.

    Example:
        >>> sample_range(0.5, None, 16000, 32000, 'a.wav')
        (8000, 32000)
    """
    start = 0.0 if start is None else start
    for key, second in (('start', start), ('stop', stop)):
        is_number = isinstance(second, Real) and math.isfinite(second)
        if second is not None and not is_number:
            raise WaveformError(
                f'{name}: {key} of the segment must be a finite number of '
                f'seconds, got {second!r}; correct the annotation'
            )
    first = min(max(round(start * rate), 0), length)
    last = length if stop is None else min(round(stop * rate), length)
    return first, max(first, last)


def read_segment(
    path: str, start: Any, stop: Any, channel: str = 'mean'
) -> tuple[np.ndarray, int]:
    """Read a segment of a sound file, checked and mixed to one channel.

    Only the segment is read, a piece at a time, so that a header that claims
    more than there is costs nothing.

    Args:
        path: Sound file.
        start: First second; None is the beginning.
        stop: Last second; None is the end. A file that ends before gives the
            part that there is.
        channel: ``'mean'`` of all or the ``'first'`` one.

    Returns:
        Waveform, float32 of shape ``(L,)``, and its rate in Hz.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the file is damaged, the segment is longer than what is
            held at once, or a sample cannot be used.
    """
    with open_sound(path) as file:
        blocks, count = [], 0
        for block in mono_blocks(file, start, stop, channel):
            blocks.append(block)
            count += len(block)
            if count > MAX_SAMPLES:
                raise WaveformError(
                    f'{path} holds more than {MAX_SAMPLES} samples from '
                    f'{start or 0} s to {"its end" if stop is None else stop}'
                    '; name a segment by start and stop in the annotation'
                )
        wave = np.concatenate([np.zeros(0, np.float32), *blocks])
        return wave, file.samplerate


def is_sound_constant(
    path: str, start: Any = None, stop: Any = None, channel: str = 'mean'
) -> bool:
    """Whether a segment of a file is silent, or empty, from end to end.

    The answer is remembered until the file changes; a file with sound in it
    is read up to there.

    Args:
        path: Sound file.
        start: First second; None is the beginning.
        stop: Last second; None is the end.
        channel: ``'mean'`` of all or the ``'first'`` one.

    Returns:
        Whether it moves by no more than three steps of 16 bit.
    """
    status = os.stat(path)
    key = (path, start, stop, channel)
    return _is_constant(*key, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _is_constant(
    path: str, start: Any, stop: Any, channel: str, modified: int, size: int
) -> bool:
    del modified, size  # only there to tell a changed file
    low, high = math.inf, -math.inf
    with open_sound(path) as file:
        for block in mono_blocks(file, start, stop, channel):
            low = min(low, float(block.min()))
            high = max(high, float(block.max()))
            if high - low > SILENCE:
                return False
    return True


def mono_blocks(
    file: soundfile.SoundFile, start: Any, stop: Any, channel: str
) -> Iterator[np.ndarray]:
    """Read a segment of an open file piece by piece.

    Args:
        file: What :func:`open_sound` gives.
        start: First second; None is the beginning.
        stop: Last second; None is the end.
        channel: ``'mean'`` of all or the ``'first'`` one.

    Yields:
        Checked samples, float32 of shape ``(L,)`` with ``L > 0``.

    Raises:
        WaveformError: If a sample cannot be used, or the channels cancel
            each other.
    """
    first, last = sample_range(
        start, stop, file.samplerate, max(file.frames, 0), file.name
    )
    file.seek(first)
    mixer = Mixer(channel, file.name)
    while first < last:
        wave = file.read(
            min(_BLOCK, last - first), dtype='float32', always_2d=True
        )
        if not len(wave):
            break
        first += len(wave)
        yield mixer.mix(wave)
    mixer.check()


class Mixer:
    """Mix channels to one, and notice if that leaves nothing.

    Args:
        channel: ``'mean'`` of all or the ``'first'`` one.
        name: File, for the messages.

    Example:
        >>> Mixer('mean', 'a.wav').mix(np.array([[0.5, 0.0]], np.float32))
        array([0.25], dtype=float32)
    """

    def __init__(self, channel: str, name: str) -> None:
        self.channel = channel
        self.name = name
        self._low: Any = math.inf
        self._high: Any = -math.inf

    def mix(self, wave: np.ndarray) -> np.ndarray:
        """Check samples of shape ``(L, channels)`` and make them ``(L,)``."""
        check_values(wave, self.name)
        if self.channel == 'first' or wave.shape[1] == 1:
            return wave[:, 0]
        mono = wave.mean(axis=1)
        both = np.column_stack([mono, wave])
        self._low = np.minimum(self._low, both.min(axis=0))
        self._high = np.maximum(self._high, both.max(axis=0))
        return mono

    def check(self) -> None:
        """Refuse channels of opposite sign; call it when all is mixed."""
        reach = np.atleast_1d(self._high - self._low)
        if len(reach) > 1:
            check_mix(float(reach[0]), float(reach[1:].max()), self.name)
