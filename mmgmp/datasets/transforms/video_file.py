"""Open a video file that may be of any kind, and take pictures out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type

#: Pixels of a picture, at most: twice those of 8K. A header may claim more
#: than any memory holds.
MAX_PIXELS = 2**26
# From PyAV 17 on a conversion starts as many threads as there are processors,
# and keeps them until garbage is collected.
_IS_THREADED = int(av.__version__.split('.')[0]) >= 17
_ONE_THREAD = {'threads': 1} if _IS_THREADED else {}
# Cover art and preview pictures are kept as video streams.
_NOT_SHOWN = ('attached_pic', 'timed_thumbnails')


@contextmanager
def open_video(path: str) -> Iterator[tuple[Any, Any]]:
    """Open a file, give its container and its video stream, close it.

    The stream is the first one that is shown: cover art is none. Nothing but
    local files is opened, whatever the content of the file asks for.

    Args:
        path: Video file that FFmpeg can read.

    Yields:
        The PyAV container and the stream.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the file has no video or cannot be read, also where that
            shows only while the caller decodes.
    """
    check_media_file(path)
    try:
        with av.open(
            # An absolute path is never taken for a protocol ("a:b.mp4").
            os.path.abspath(path),
            # Names and titles are of no use here, in whatever encoding.
            metadata_errors='replace',
            container_options={'protocol_whitelist': 'file'},
        ) as container:
            stream = _shown_stream(container, path)
            yield container, stream
    except (av.FFmpegError, MemoryError) as error:
        reason = str(error) or 'out of memory'
        raise OSError(
            f'{path} cannot be decoded ({reason}); fetch or convert the file '
            "again, or let the dataset skip it with on_error='skip'"
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


def _shown_stream(container: Any, path: str) -> Any:
    streams = [
        stream for stream in container.streams.video if _is_shown(stream)
    ]
    if not streams:
        raise OSError(f'{path} holds no video stream')
    codec = streams[0].codec_context
    if codec is None:
        raise OSError(
            f'{path} cannot be decoded: FFmpeg knows no decoder for its '
            'pictures; convert the file, or let the dataset skip it with '
            "on_error='skip'"
        )
    _check_size(path, codec.width, codec.height)
    # Also for a size that shows only inside of the stream.
    codec.options = {**codec.options, 'max_pixels': str(MAX_PIXELS)}
    # PyAV keeps a decoder, and its threads, until garbage is collected.
    codec.thread_type, codec.thread_count = 'NONE', 1
    return streams[0]


def _is_shown(stream: Any) -> bool:
    kinds = getattr(stream, 'disposition', None)
    return not any(
        kinds & getattr(type(kinds), name) for name in _NOT_SHOWN if kinds
    )


def _check_size(path: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise OSError(
            f'{path} claims pictures of {width} x {height}, more than the '
            f'{MAX_PIXELS} pixels that are believed; is its header damaged?'
        )


def to_image(frame: Any, path: str, rotate: bool = True) -> np.ndarray:
    """Convert a decoded picture to RGB, upright.

    Args:
        frame: PyAV's video frame.
        path: File that it comes from, for the error message.
        rotate: Whether to turn and mirror it as the file's tag says.

    Returns:
        uint8 array of shape ``(H, W, 3)``, contiguous.

    Raises:
        OSError: If its pixel format cannot be converted.
    """
    _check_size(path, frame.width, frame.height)
    try:
        image: np.ndarray = frame.to_ndarray(format='rgb24', **_ONE_THREAD)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise OSError(
            f'{path}: pictures of format {frame.format.name} cannot be '
            f'converted to RGB ({error}); convert the file'
        ) from error
    tag = frame.side_data.get(Type.DISPLAYMATRIX) if rotate else None
    return image if tag is None else _turned(image, bytes(tag))


def _turned(image: np.ndarray, tag: bytes) -> np.ndarray:
    """Apply a display matrix ``[[a, b, u], [c, d, v], [x, y, w]]``.

    A stored pixel ``(x, y)`` is shown at ``(ax + cy, bx + dy)``. Angles
    between the right ones are taken for the nearest of them.
    """
    a, b, _, c, d = (int(v) for v in np.frombuffer(tag, np.int32)[:5])
    is_sideways = abs(a) + abs(d) < abs(b) + abs(c)
    if is_sideways:
        image, a, d = image.swapaxes(0, 1), c, b
    image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)
