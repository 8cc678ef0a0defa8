"""The sound track of a media file, laid on the file's own clock."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmgmp.datasets.media_clock import clock_zero
from mmgmp.datasets.waveform_checks import (
    SAMPLE_RATE,
    WaveformError,
    check_mix,
    check_sample_rate,
    check_values,
)

Block = NDArray[np.int16]

#: Silence that missing packets may stand for, in seconds altogether.
MAX_SILENCE = 3600.0
#: Sound of one file, in seconds.
MAX_SECONDS = 24 * 3600.0
# Seconds by which time stamps and counted samples may differ: more than the
# rounding of a Matroska or FLV time stamp, less than can be noticed.
_TOLERANCE = 1.5e-3
# A longer way back is no overlap: the clock of the file begins anew.
_LONGEST_OVERLAP = 1.0
# Seconds, and frames at most, that must agree before a deviation is believed:
# MPEG-PS and ASF have stamps that run away from the samples for a second.
_LOOK_AHEAD, _MOST_AHEAD = 2.0, 1000
_SILENCE_BLOCK = 1 << 16


class SoundTrackError(OSError):
    """A sound track that cannot be decoded; the message names the file."""


def sound_blocks(
    path: str | Path, sample_rate: int = SAMPLE_RATE
) -> Iterator[Block]:
    """Decode the first sound track of a file piece by piece.

    The first sample is second 0 of the file, where its picture has its
    second 0 too (:func:`~mmgmp.datasets.media_clock.clock_zero`). Silence
    stands for sound that starts late and for packets that are lost; what lies
    before second 0 (priming, the lead of a lossless cut) or overlaps is cut
    off. Single time stamps that waver are smoothed over: the sound moves only
    if the stamps after it agree. Samples without usable stamps are counted.

    Channels are mixed as FFmpeg mixes them, so the samples are those of
    ``ffmpeg -acodec pcm_s16le -ac 1 -ar RATE`` where the track has no gap.

    Args:
        path: File that FFmpeg can read.
        sample_rate: Rate of the result in Hz.

    Yields:
        Mono samples of 16 bit, shape ``(L,)``, each block continuing the one
        before; none for a file without sound.

    Raises:
        FileNotFoundError: If there is no such file.
        SoundTrackError: If the track is broken, or longer than can be meant.
    """
    with _open_track(str(path)) as (container, stream):
        if stream is None:
            return
        clock = _Clock(str(path), container, sample_rate)
        mix = _Mix(str(path))
        for frame in _decode(container, stream):
            mix.see(frame)
            yield from map(mix.hear, clock.add(frame))
        yield from map(mix.hear, clock.finish())
        mix.check()


def read_sound_track(
    path: str | Path,
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float = 4 * 3600.0,
) -> NDArray[np.float32] | None:
    """Decode the first sound track of a file as a whole.

    Args:
        path: File that FFmpeg can read.
        sample_rate: Rate of the result in Hz.
        max_seconds: Longest sound to hold in memory.

    Returns:
        Waveform of shape ``(L,)``, -1 to 1, as ``data_prep/extract_audio.py``
        writes it; None without a track.

    Raises:
        FileNotFoundError: If there is no such file.
        SoundTrackError: If the track is broken or too long.
    """
    blocks, count = [], 0
    for block in sound_blocks(path, sample_rate):
        blocks.append(block)
        count += len(block)
        if count > max_seconds * sample_rate:
            raise SoundTrackError(
                f'{path} holds more than {max_seconds:g} s of sound, too '
                'much to hold in memory; cut out the clip, or extract its '
                'sound with data_prep/extract_audio.py'
            )
    if not count:
        return None
    return np.concatenate(blocks).astype(np.float32) / np.float32(32768)


@contextmanager
def _open_track(path: str) -> Iterator[tuple[Any, Any]]:
    """Container and sound stream; whatever goes wrong names the file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        with av.open(path, metadata_errors='replace') as container:
            streams = container.streams.audio
            yield container, streams[0] if streams else None
    except (SoundTrackError, FileNotFoundError):
        raise
    except WaveformError as error:
        raise SoundTrackError(str(error)) from error
    # PyAV has ValueErrors of its own for what it does not know, and text in
    # a file that is no UTF-8 is one too.
    except (av.FFmpegError, OSError, ValueError, LookupError) as error:
        raise SoundTrackError(
            f'{path} cannot be decoded ({error}): its sound is damaged or of '
            'an unknown kind; fetch or convert the file again'
        ) from error


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        # FLV carries headers in packets without sound, which no decoder
        # takes, and demux ends with one that is as empty.
        if packet.size:
            yield from packet.decode()
    yield from stream.decode(None)


class _Clock:
    """Bring decoded frames to one rate and put each where it belongs."""

    def __init__(self, path: str, container: Any, sample_rate: int) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.zero = clock_zero(container)
        duration = container.duration
        self.duration = duration / av.time_base if duration else None
        #: Frames with their stamps in seconds, and how long they last.
        self.waiting: deque[tuple[Any, float | None]] = deque()
        self.ahead = 0.0
        self.kind: tuple[str, str, int] | None = None
        self.resampler: Any = None
        #: Second up to which samples were counted.
        self.second = 0.0
        #: Added to time stamps once they cannot be meant.
        self.shift = 0.0
        #: Where the next resampled sample belongs, and how many are given.
        self.position = 0
        self.given = 0
        self.silence = 0

    def add(self, frame: Any) -> Iterator[Block]:
        """Take a frame in; give what has become certain."""
        self.waiting.append((frame, self._second_of(frame)))
        self.ahead += frame.samples / frame.sample_rate
        while self.ahead > _LOOK_AHEAD or len(self.waiting) > _MOST_AHEAD:
            yield from self._next()

    def finish(self) -> Iterator[Block]:
        """Give the rest."""
        while self.waiting:
            yield from self._next()
        yield from self._end_run()
        if self.kind is not None and not self.given:
            raise SoundTrackError(
                f'{self.path}: all of its sound lies before second 0, where '
                'no picture is; write the file anew (ffmpeg -i FILE -c copy '
                'NEW), or convert it'
            )

    def _next(self) -> Iterator[Block]:
        frame = self.waiting[0][0]
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        moved = self._deviation()
        if kind != self.kind or moved:
            yield from self._end_run()
            self._check_jump(moved)
            self.second += moved
            self.kind = kind
            self.resampler = av.AudioResampler('s16', 'mono', self.sample_rate)
            self.position = round(self.second * self.sample_rate)
        self.waiting.popleft()
        self.second += frame.samples / frame.sample_rate
        self.ahead -= frame.samples / frame.sample_rate
        frame.pts = None
        for part in self.resampler.resample(frame):
            yield from self._place(part.to_ndarray()[0])

    def _deviation(self) -> float:
        """Seconds by which the next frame is off, as far as all agree."""
        stamp = self.waiting[0][1]
        own = 0.0 if stamp is None else stamp + self.shift - self.second
        if abs(own) <= _TOLERANCE:
            return 0.0
        second, least = self.second, abs(own)
        for frame, stamp in self.waiting:
            if stamp is not None:
                off = stamp + self.shift - second
                least = min(least, math.copysign(1.0, own) * off)
            second += frame.samples / frame.sample_rate
        if least <= _TOLERANCE:
            return 0.0
        if abs(own) - least > _TOLERANCE:
            own = math.copysign(least, own)
        if own >= -_LONGEST_OVERLAP or self.kind is None:
            return own
        self.shift -= own
        print_log(
            f'{self.path}: the time stamps of the sound go back by '
            f'{-own:.1f} s at {self.second:.1f} s; from there on its samples '
            'are counted',
            logger='current',
            level=logging.WARNING,
        )
        return 0.0

    def _second_of(self, frame: Any) -> float | None:
        if frame.pts is None or not frame.time_base:
            return None
        return float(frame.pts * frame.time_base) - self.zero

    def _check_jump(self, moved: float) -> None:
        """Let no time stamp ask for more silence than can be meant."""
        second = self.second + moved
        end = MAX_SECONDS if self.duration is None else self.duration + 10
        silence = self.silence / self.sample_rate + moved
        if moved > 0 and (second > end or silence > MAX_SILENCE):
            raise SoundTrackError(
                f'{self.path}: the time stamps of the sound jump from '
                f'{self.second:.1f} to {second:.1f} s, which cannot be; write '
                'the file anew (ffmpeg -i FILE -c copy NEW), or convert it'
            )

    def _end_run(self) -> Iterator[Block]:
        if self.resampler is not None:
            for part in self.resampler.resample(None):
                if part is not None:
                    yield from self._place(part.to_ndarray()[0])

    def _place(self, samples: Block) -> Iterator[Block]:
        """Cut what is there already, fill what is not."""
        if self.position + len(samples) > MAX_SECONDS * self.sample_rate:
            raise SoundTrackError(
                f'{self.path} holds more than {MAX_SECONDS / 3600:g} hours '
                'of sound, which cannot be meant; is the file damaged?'
            )
        missing = self.position - self.given
        self.position += len(samples)
        samples = samples[max(-missing, 0) :]
        while missing > 0:
            block = np.zeros(min(missing, _SILENCE_BLOCK), np.int16)
            missing -= len(block)
            self.silence += len(block)
            self.given += len(block)
            yield block
        if len(samples):
            self.given += len(samples)
            yield samples


class _Mix:
    """Look at the samples before and after channels are mixed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.loudest_channel = 0.0
        self.loudest = 0.0

    def see(self, frame: Any) -> None:
        """Check a decoded frame."""
        check_sample_rate(frame.sample_rate, self.path)
        wave = frame.to_ndarray()
        scale = 1.0
        if wave.dtype.kind == 'f':
            check_values(wave, self.path)
        else:
            scale = 256.0**wave.dtype.itemsize / 2
        reach = float(wave.max(initial=0)) - float(wave.min(initial=0))
        if len(frame.layout.channels) > 1:
            self.loudest_channel = max(self.loudest_channel, reach / scale)

    def hear(self, block: Block) -> Block:
        """Note how loud a mixed block is."""
        reach = float(block.max(initial=0)) - float(block.min(initial=0))
        self.loudest = max(self.loudest, reach / 32768)
        return block

    def check(self) -> None:
        """Refuse channels that leave nothing."""
        check_mix(self.loudest, self.loudest_channel, self.path)
