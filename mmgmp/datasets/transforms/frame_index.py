"""When each picture of a video file is shown."""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from mmengine.logging import print_log

from mmgmp.datasets.transforms.time_stamps import (
    from_packets,
    from_pictures,
    from_table,
    has_even_table,
    mean_rate,
    stated_rate,
)
from mmgmp.datasets.transforms.video_file import check_media_file, open_video

# Annotations round to milliseconds, and so do the time stamps of Matroska.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class FrameIndex:
    """Number and presentation time of the pictures of one video file.

    Second 0 is that of :func:`~mmgmp.datasets.media_clock.clock_zero`, so
    that times of pictures and of sound from one file can be compared.

    Args:
        pts: Time stamp of every picture in the order shown, in units of
            ``time_base``: a ``range`` if they are evenly spaced.
        fps: Pictures per second on average, > 0.
        shape: Height and width in pixels, as stored.
        time_base: Seconds per unit of ``pts``.
        zero: Second of the time stamps that is second 0 of the file.
        is_counted: Whether pictures are found only by counting from the
            start, since the file's time stamps do not name them.

    Example:
        >>> index = FrameIndex(range(0, 80, 8), 25.0, (64, 64), 1 / 200)
        >>> index.total_frames, index.number_of(16), index.number_of(17)
        (10, 2, None)
        >>> index.seconds(2), index.between(0.1, 0.2)
        (0.08, (3, 5))
    """

    pts: Sequence[int]
    fps: float
    shape: tuple[int, int]
    time_base: float
    zero: float = 0.0
    is_counted: bool = False

    @property
    def total_frames(self) -> int:
        """Number of pictures, > 0."""
        return len(self.pts)

    @property
    def end(self) -> float:
        """Second at which the last picture ends."""
        return self.end_of(self.total_frames - 1)

    def seconds(self, number: int) -> float:
        """Return when a picture is shown, in seconds."""
        return self.pts[number] * self.time_base - self.zero

    def end_of(self, number: int) -> float:
        """Return when a picture ends, in seconds: where the next one begins.

        The last one lasts as long as most of the others.
        """
        if number + 1 < self.total_frames:
            return self.seconds(number + 1)
        step = 1 / self.fps
        if self.total_frames > 1:
            step = float(np.median(np.diff(self.pts))) * self.time_base
        return self.seconds(number) + step

    def times(self, numbers: Iterable[int]) -> np.ndarray:
        """Return when pictures are shown, in seconds, as float64."""
        return np.array([self.seconds(int(number)) for number in numbers])

    def number_of(self, pts: int | None) -> int | None:
        """Return the number of the picture of a time stamp, None if none."""
        if self.is_counted or pts is None:
            return None
        number = bisect_left(self.pts, pts)
        found = number < len(self.pts) and self.pts[number] == pts
        return number if found else None

    def between(self, start: float, stop: float | None) -> tuple[int, int]:
        """Return the numbers of the pictures that a segment shows.

        Args:
            start: First second.
            stop: Second behind the segment; None is the end of the file.

        Returns:
            The first number and the one behind the last: the pictures that
            appear within ``[start, stop)``; the one that is still shown at
            ``start`` where none does; the same number twice where the file
            shows nothing then.
        """
        first = self._before(start - _ROUNDING)
        last = self.total_frames
        if stop is not None:
            last = self._before(stop - _ROUNDING)
        if last <= first and start < self.end:
            # None appears, so the one before stays: number -1 is no picture.
            last = self._before(start + _ROUNDING)
            first = max(last - 1, 0)
        return first, max(first, last)

    def _before(self, seconds: float) -> int:
        """Number of pictures that appear before a second."""
        wanted = (seconds + self.zero) / self.time_base
        return bisect_left(self.pts, wanted)


def read_frame_index(path: str) -> FrameIndex:
    """Read the frame index of a video file.

    MP4 and MOV files carry a table of their frames in the header. Matroska,
    MPEG-TS and the like are walked through packet by packet, which reads them
    but decodes nothing. A file whose container does not tell when its
    pictures are shown is decoded once. The result is remembered until the
    file changes.

    Args:
        path: Video file.

    Returns:
        The index.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the file holds no video frames or cannot be read.
    """
    check_media_file(path)
    status = os.stat(path)
    return _read_cached(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _read_cached(path: str, modified: int, size: int) -> FrameIndex:
    del modified, size  # only there to tell a changed file
    with open_video(path) as (container, stream):
        is_even = has_even_table(container, stream)
        read = from_table if is_even else from_packets
        stamps = read(container, stream)
        shape = (stream.codec_context.height, stream.codec_context.width)
        stated = stated_rate(stream)
        kind = container.format.name
    if stamps is None and is_even:
        with open_video(path) as (container, stream):
            stamps = from_packets(container, stream)
    if stamps is None:
        with open_video(path) as (container, stream):
            stamps = from_pictures(container, stream)
    if stamps is not None and not len(stamps.pts):
        raise OSError(f'{path} holds no video frame')
    fps = None if stamps is None else mean_rate(stamps, stated)
    if stamps is None or fps is None:
        raise OSError(f'{path} states no frame rate')
    if stamps.is_counted:
        print_log(
            f'{path}: {kind} does not tell when these pictures are shown, so '
            'they are counted and every clip is decoded from the start; '
            'convert the file to MP4 if that is slow',
            logger='current',
            level=logging.WARNING,
        )
    pts, time_base, zero, is_counted = stamps
    return FrameIndex(pts, fps, shape, time_base, zero, is_counted)
