"""Which timestamp belongs to which frame number of a video file."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import av


@dataclass(frozen=True)
class FrameIndex:
    """Frame numbers and presentation timestamps of one video file.

    Args:
        pts: Timestamp of every frame in display order, in units of
            ``time_base``: a ``range`` if they are evenly spaced, an array if
            not, ``None`` if the file gives none that can be used (its frames
            can then only be counted from the start).
        total_frames: Number of frames, > 0.
        fps: Frames per second, > 0.
        shape: Height and width in pixels, as stored.
        time_base: Seconds per unit of ``pts``.

    Example:
        >>> index = FrameIndex(range(0, 80, 8), 10, 25.0, (64, 64), 1 / 200)
        >>> index.number_of(16), index.number_of(17)
        (2, None)
    """

    pts: Sequence[int] | None
    total_frames: int
    fps: float
    shape: tuple[int, int]
    time_base: float

    def number_of(self, pts: int | None) -> int | None:
        """Return the frame number of a timestamp, ``None`` if unknown."""
        if self.pts is None or pts is None:
            return None
        number = bisect_left(self.pts, pts)
        found = number < len(self.pts) and self.pts[number] == pts
        return number if found else None


@contextmanager
def open_video(path: str) -> Iterator[tuple[Any, Any]]:
    """Open a file, give its container and first video stream, close it.

    Args:
        path: Video file that FFmpeg can read.

    Yields:
        The PyAV container and its first video stream.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the file has no video or cannot be read, also where that
            shows only while the caller decodes.
    """
    check_media_file(path)
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise OSError(f'{path} holds no video stream')
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise OSError(
            f'{path} cannot be decoded ({error}); fetch or convert the file '
            f"again, or let the dataset skip it with on_error='skip'"
        ) from error


def check_media_file(path: str) -> None:
    """Raise :class:`FileNotFoundError` unless ``path`` is there.

    Args:
        path: Media file of a sample.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{path}: no such file; check data_root, and that every step of '
            'data_prep/<corpus>/README.md was run for this corpus'
        )


def read_frame_index(path: str) -> FrameIndex:
    """Read the frame index of a video file without decoding it.

    MP4 and MOV files carry a table of their frames in the header. Other files
    are walked through packet by packet, which reads them but decodes nothing.
    The result is remembered until the file changes.

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
        pts: Sequence[int] | None = _even_timestamps(container, stream)
        count = stream.frames
        if pts is None:
            pts, count = _packet_timestamps(container, stream)
        if count < 1:
            raise OSError(f'{path} holds no video frame')
        rate = stream.average_rate or stream.guessed_rate
        time_base = float(stream.time_base)
        if isinstance(pts, range):
            fps = 1 / (pts.step * time_base)
        elif rate:
            fps = float(rate)
        else:
            raise OSError(f'{path} states no frame rate')
        shape = (stream.codec_context.height, stream.codec_context.width)
    return FrameIndex(pts, count, fps, shape, time_base)


def _even_timestamps(container: Any, stream: Any) -> range | None:
    """Timestamps from the header, if it lists evenly spaced frames."""
    entries = getattr(stream, 'index_entries', ())
    is_listed = 'mov' in container.format.name and stream.frames > 1
    if not is_listed or len(entries) != stream.frames:
        return None
    if stream.start_time is None or any(e.is_discard for e in entries):
        return None
    steps = {b.timestamp - a.timestamp for a, b in pairwise(entries)}
    if len(steps) != 1 or (step := steps.pop()) < 1:
        return None
    start = stream.start_time
    return range(start, start + step * stream.frames, step)


def _packet_timestamps(
    container: Any, stream: Any
) -> tuple[Sequence[int] | None, int]:
    times = [
        packet.pts
        for packet in container.demux(stream)
        if packet.size and not packet.is_discard
    ]
    if None in times or len(set(times)) != len(times):
        return None, len(times)
    return array('q', sorted(times)), len(times)
