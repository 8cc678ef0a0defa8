"""Write tiny video and sound files, for tests and synthetic corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from os import PathLike
from typing import Any

import av
import numpy as np
import soundfile


def write_video(
    path: str | PathLike[str],
    frames: np.ndarray,
    fps: float = 24,
    codec: str | None = None,
    options: Mapping[str, str] | None = None,
    gop_size: int = 12,
    max_b_frames: int = 2,
    times_ms: Sequence[int] | None = None,
    container_format: str | None = None,
) -> None:
    """Encode frames into a video file, on one thread and so reproducibly.

    Args:
        path: File to write; its ending names the container.
        frames: uint8 RGB of shape ``(T, H, W, 3)``, even height and width.
        fps: Frames per second.
        codec: Encoder; by default ``libx264`` if PyAV has it, else ``mpeg4``.
        options: Options of the encoder; ``None`` takes its own, but for
            libx264 those that always give the same file.
        gop_size: Largest distance of keyframes, in frames.
        max_b_frames: Largest run of B-frames.
        times_ms: Presentation time of each frame in milliseconds, for a
            variable frame rate; ``None`` spaces them evenly.
        container_format: Container, where the ending does not name one.

    Raises:
        ValueError: If the frames are not uint8 RGB of an even size.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, 'clip.mp4')
        ...     write_video(path, np.zeros((4, 16, 16, 3), np.uint8))
        ...     os.path.getsize(path) > 0
        True
    """
    if frames.ndim != 4 or frames.dtype != np.uint8 or frames.shape[3] != 3:
        raise ValueError(
            'frames must be uint8 of shape (T, H, W, 3), got '
            f'{frames.dtype} {frames.shape}'
        )
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(
            f'height and width must be even, got {frames.shape[1:3]}'
        )
    if codec is None:
        codec = 'libx264' if 'libx264' in av.codecs_available else 'mpeg4'
    if options is None and codec == 'libx264':
        # Its macroblock tree makes equal frames into unequal files.
        options = {'preset': 'veryfast', 'x264-params': 'mbtree=0'}
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), 'w', format=container_format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        stream.options = dict(options or {})
        context = stream.codec_context
        context.gop_size = gop_size
        context.max_b_frames = max_b_frames
        context.thread_count = 1
        if times_ms is not None:
            context.time_base = Fraction(1, 1000)
        _encode(container, stream, frames, 1 / rate, times_ms)


def _encode(
    container: Any,
    stream: Any,
    frames: np.ndarray,
    duration: Fraction,
    times_ms: Sequence[int] | None,
) -> None:
    for number, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(image), format='rgb24'
        )
        frame.pts = number if times_ms is None else int(times_ms[number])
        frame.time_base = duration if times_ms is None else Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_audio(
    path: str | PathLike[str], waveform: np.ndarray, sample_rate: int = 16000
) -> None:
    """Write a 16-bit sound file.

    Args:
        path: File to write, normally ending in ``.wav``.
        waveform: Shape ``(L,)`` or ``(L, channels)``, between -1 and 1.
        sample_rate: Samples per second.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, 'clip.wav')
        ...     write_audio(path, np.zeros(100))
        ...     soundfile.info(path).frames
        100
    """
    with open(path, 'wb') as file:
        soundfile.write(
            file, waveform, sample_rate, format='WAV', subtype='PCM_16'
        )
