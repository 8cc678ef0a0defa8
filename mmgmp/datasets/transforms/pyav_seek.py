"""Decode only the frames that a clip needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.frame_index import (
    FrameIndex,
    open_video,
    read_frame_index,
)
from mmgmp.registry import TRANSFORMS

# Seconds by which a seek goes further back when it landed too late; None is
# the start of the file. Open groups of pictures need the second try.
_REWINDS = (0.0, 0.25, 2.0, 10.0, None)
_THREAD_TYPES = ('NONE', 'SLICE', 'FRAME', 'AUTO')


def decode_frames(
    path: str,
    frame_inds: Sequence[int],
    thread_type: str = 'NONE',
    thread_count: int = 1,
) -> tuple[dict[int, np.ndarray], int]:
    """Decode the named frames of a video file.

    Decoding starts at the keyframe at or before the first wanted frame and
    ends with the last one.

    Args:
        path: Video file.
        frame_inds: Frame numbers in ``[0, total_frames)``, in any order.
        thread_type: FFmpeg's threading: ``'NONE'``, ``'SLICE'``, ``'FRAME'``
            or ``'AUTO'``.
        thread_count: Threads of the decoder; 0 lets FFmpeg choose.

    Returns:
        The frames by number, each uint8 RGB of shape ``(H, W, 3)``, and how
        many frames were decoded for them.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If a wanted frame cannot be decoded.
        ValueError: If a number is out of range.
    """
    index = read_frame_index(path)
    wanted = sorted({int(number) for number in frame_inds})
    if not wanted or wanted[0] < 0 or wanted[-1] >= index.total_frames:
        raise ValueError(
            f'frame_inds must lie in [0, {index.total_frames}) for {path}, '
            f'got {wanted}; choose them with SampleFrames after PyAVSeekInit'
        )
    decoded = 0
    frames: dict[int, np.ndarray] = {}
    for seek_to in _seek_points(index, wanted[0]):
        frames, count = _decode_pass(
            path, index, wanted, seek_to, (thread_type, thread_count)
        )
        decoded += count
        if len(frames) == len(wanted):
            return frames, decoded
    missing = [number for number in wanted if number not in frames]
    raise OSError(
        f'{path}: frame {missing[0]} of {index.total_frames} cannot be '
        'decoded; fetch or convert the file again, or let the dataset skip '
        "it with on_error='skip'"
    )


def _seek_points(index: FrameIndex, first: int) -> Iterator[int | None]:
    """Timestamps to start from, most economical first; None is the start."""
    for rewind in _REWINDS:
        if rewind is None or index.pts is None or first == 0:
            break
        target = index.pts[first] - round(rewind / index.time_base)
        if target <= index.pts[0]:
            break
        yield target
    yield None


def _decode_pass(
    path: str,
    index: FrameIndex,
    wanted: list[int],
    seek_to: int | None,
    threads: tuple[str, int],
) -> tuple[dict[int, np.ndarray], int]:
    """Decode forward once, stopping early when a wanted frame is missed."""
    pending = deque(wanted)
    frames: dict[int, np.ndarray] = {}
    count = 0
    with open_video(path) as (container, stream):
        stream.codec_context.thread_type = threads[0]
        stream.codec_context.thread_count = threads[1]
        if seek_to is not None:
            container.seek(seek_to, stream=stream)
        # Frames shown before the keyframe of a seek may lack a reference.
        is_reliable = seek_to is None
        for count, frame in enumerate(container.decode(stream), start=1):
            is_reliable = is_reliable or bool(frame.key_frame)
            is_counted = index.pts is None
            number = count - 1 if is_counted else index.number_of(frame.pts)
            if number is None or number < pending[0]:
                continue
            if number > pending[0] or not is_reliable:
                break
            frames[pending.popleft()] = frame.to_ndarray(format='rgb24')
            if not pending:
                break
    return frames, count


@TRANSFORMS.register_module()
class PyAVSeekInit(BaseTransform):
    """Read length and frame rate of a video, before frames are sampled.

    Opens the file, reads its frame index and closes it again: nothing is held
    open until :class:`PyAVSeekDecode`, so that a failure in between leaks no
    file handle.

    Required keys: ``filename``, or ``array`` of shape ``(T, H, W, C)`` with
    ``fps``; optional ``start`` and ``stop`` in seconds.

    Added keys: ``total_frames``, ``start_index`` (both of the segment),
    ``fps``, ``avg_fps``, ``original_shape``.

    Raises:
        OSError: If the file is missing, broken, or ends before ``start``.
        ValueError: If ``stop`` does not come after ``start``.

    Example:
        >>> frames = np.zeros((48, 8, 8, 3), np.uint8)
        >>> results = dict(array=frames, fps=24.0, start=0.5, stop=1.5)
        >>> results = PyAVSeekInit()(results)
        >>> results['start_index'], results['total_frames']
        (12, 24)
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the length, frame rate and shape to ``results``."""
        if 'array' in results:
            name, total = 'array', len(results['array'])
            fps, shape = results.get('fps'), results['array'].shape[1:3]
        else:
            name = results['filename']
            index = read_frame_index(name)
            total, fps, shape = index.total_frames, index.fps, index.shape
        first, last = self._segment(results, name, total, fps)
        results.update(
            start_index=first,
            total_frames=last - first,
            fps=fps,
            avg_fps=fps,
            original_shape=tuple(shape),
        )
        return results

    @staticmethod
    def _segment(
        results: dict[str, Any], name: str, total: int, fps: float | None
    ) -> tuple[int, int]:
        start, stop = results.get('start'), results.get('stop')
        if start is None and stop is None:
            return 0, total
        start = start or 0.0
        if not fps:
            raise ValueError(
                f'fps must be given with start and stop, got {fps} for '
                f'{name}; add the frame rate to the entry'
            )
        if stop is not None and stop <= start:
            raise ValueError(
                f'stop must come after start, got start={start} and '
                f'stop={stop} s for {name}; correct the annotation'
            )
        first = max(round(start * fps), 0)
        if first >= total:
            raise OSError(
                f'{name} ends after {total / fps:.2f} s, before the segment '
                f'from {start} s; is the file complete?'
            )
        last = total if stop is None else min(round(stop * fps), total)
        return first, max(last, first + 1)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class PyAVSeekDecode(BaseTransform):
    """Decode the sampled frames, starting at the keyframe before them.

    The frames are those of a full decode, pixel by pixel; only the part of
    the file that the clip needs is decoded. Rotation tags are ignored. A frame
    whose damage FFmpeg repairs is taken as a full decode would give it; one
    that it cannot decode is an error.

    Required keys: ``filename`` (or ``array``), ``frame_inds``.

    Added keys: ``imgs`` (list of uint8 RGB frames ``(H, W, 3)``, one array of
    its own for each entry of ``frame_inds``), ``original_shape``,
    ``img_shape``, ``decoded_frames`` (how many frames were decoded).

    Args:
        thread_type: FFmpeg's threading: ``'NONE'``, ``'SLICE'``, ``'FRAME'``
            or ``'AUTO'``. One thread by default: the data loader's workers
            are the parallel part.
        thread_count: Threads of the decoder, >= 0; 0 lets FFmpeg choose.

    Raises:
        ValueError: If the thread type is unknown or a frame number is not in
            the file.
        OSError: If the file is missing or a wanted frame is broken.

    Example:
        >>> PyAVSeekDecode(thread_type='AUTO', thread_count=2)
        PyAVSeekDecode(thread_type='AUTO', thread_count=2)
    """

    def __init__(
        self, thread_type: str = 'NONE', thread_count: int = 1
    ) -> None:
        if thread_type not in _THREAD_TYPES:
            raise ValueError(
                f'thread_type must be one of {_THREAD_TYPES}, '
                f'got {thread_type!r}'
            )
        if thread_count < 0:
            raise ValueError(
                f'thread_count must be >= 0, got {thread_count}; '
                '0 lets FFmpeg choose'
            )
        self.thread_type = thread_type
        self.thread_count = thread_count

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the decoded frames to ``results``."""
        numbers = np.reshape(results['frame_inds'], -1).tolist()
        if 'array' in results:
            frames, decoded = results['array'], 0
        else:
            frames, decoded = decode_frames(
                results['filename'],
                numbers,
                self.thread_type,
                self.thread_count,
            )
        # Flip works in place, so a frame that a loop repeats needs a copy.
        imgs = [np.array(frames[number]) for number in numbers]
        results['imgs'] = imgs
        results['decoded_frames'] = decoded
        results['original_shape'] = imgs[0].shape[:2]
        results['img_shape'] = imgs[0].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(thread_type={self.thread_type!r}, '
            f'thread_count={self.thread_count})'
        )
