"""Decode only the frames that a clip needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import av
import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.clip_times import (
    add_times,
    index_of,
    segment_of,
)
from mmgmp.datasets.transforms.frame_index import FrameIndex, read_frame_index
from mmgmp.datasets.transforms.video_file import open_video, to_image
from mmgmp.registry import TRANSFORMS
from mmgmp.utils.checks import check_choice

# Seconds by which a seek goes further back when it landed too late; None is
# the start of the file. Open groups of pictures need the second try.
_REWINDS = (0.0, 0.25, 2.0, 10.0, None)
# Bytes of the pictures of one clip, at most: 40 of 8K.
_MAX_BYTES = 2**32
_THREAD_TYPES = ('NONE', 'SLICE', 'FRAME', 'AUTO')


def decode_frames(
    path: str,
    frame_inds: Sequence[int],
    thread_type: str = 'NONE',
    thread_count: int = 1,
    rotate: bool = True,
) -> tuple[dict[int, np.ndarray], int]:
    """Decode the named frames of a video file.

    Decoding starts at the keyframe at or before the first wanted frame (at
    the start of a file whose pictures must be counted) and ends with the last
    one.

    Args:
        path: Video file.
        frame_inds: Frame numbers in ``[0, total_frames)``, in any order.
        thread_type: FFmpeg's threading: ``'NONE'``, ``'SLICE'``, ``'FRAME'``
            or ``'AUTO'``.
        thread_count: Threads of the decoder; 0 lets FFmpeg choose.
        rotate: Whether to turn and mirror pictures as the file's tag says,
            which players do.

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
    _check_wanted(wanted, index, path)
    threads = (thread_type, thread_count)
    decoded = 0
    for seek_to in _seek_points(index, wanted[0]):
        frames: dict[int, np.ndarray] = {}
        numbers = deque(wanted)
        with closing(_decode_from(path, index, seek_to, threads)) as pictures:
            for number, is_reliable, frame in pictures:
                decoded += 1
                if number is None or number < numbers[0]:
                    continue
                if number > numbers[0] or not is_reliable:
                    break
                frames[numbers.popleft()] = to_image(frame, path, rotate)
                if not numbers:
                    return frames, decoded
    raise OSError(
        f'{path}: frame {numbers[0]} of {index.total_frames} cannot be '
        'decoded; fetch or convert the file again, or let the dataset skip '
        "it with on_error='skip'"
    )


def _check_wanted(wanted: list[int], index: FrameIndex, path: str) -> None:
    """Refuse numbers that the file lacks, and more than fits in memory."""
    if not wanted or wanted[0] < 0 or wanted[-1] >= index.total_frames:
        raise ValueError(
            f'frame_inds must lie in [0, {index.total_frames}) for {path}, '
            f'got {wanted}; choose them with SampleFrames after PyAVSeekInit'
        )
    size = 3 * index.shape[0] * index.shape[1] * len(wanted)
    if size > _MAX_BYTES:
        raise OSError(
            f'{path}: {len(wanted)} pictures of {index.shape} take {size} '
            f'bytes, more than {_MAX_BYTES}; sample fewer, or scale the file'
        )


def read_frames(
    path: str, rotate: bool = True
) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a whole file, picture by picture.

    Args:
        path: Video file.
        rotate: As in :func:`decode_frames`.

    Yields:
        Second at which a picture is shown, and the picture, uint8 RGB of
        shape ``(H, W, 3)``.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be decoded.
    """
    index = read_frame_index(path)
    with closing(_decode_from(path, index, None, ('NONE', 1))) as pictures:
        for number, _, frame in pictures:
            if number is not None and number < index.total_frames:
                yield index.seconds(number), to_image(frame, path, rotate)


def _seek_points(index: FrameIndex, first: int) -> Iterator[int | None]:
    """Timestamps to start from, most economical first; None is the start."""
    for rewind in _REWINDS:
        if rewind is None or index.is_counted or first == 0:
            break
        target = index.pts[first] - round(rewind / index.time_base)
        if target <= index.pts[0]:
            break
        yield target
    yield None


def _decode_from(
    path: str,
    index: FrameIndex,
    seek_to: int | None,
    threads: tuple[str, int],
) -> Generator[tuple[int | None, bool, Any], None, None]:
    """Decode forward.

    Gives of every picture its number (None if it has none), whether it has
    all references that it needs, and itself.
    """
    with open_video(path) as (container, stream):
        stream.codec_context.thread_type = threads[0]
        stream.codec_context.thread_count = threads[1]
        if seek_to is not None:
            try:
                container.seek(seek_to, stream=stream)
            except av.FFmpegError:
                return  # Not every container can; then from the start.
        # Pictures shown before the keyframe of a seek may lack a reference.
        is_reliable = seek_to is None
        for count, frame in enumerate(container.decode(stream)):
            is_reliable = is_reliable or bool(frame.key_frame)
            number = index.number_of(frame.pts)
            if index.is_counted:
                number = count
            yield number, is_reliable, frame


@TRANSFORMS.register_module()
class PyAVSeekInit(BaseTransform):
    """Read length and frame rate of a video, before frames are sampled.

    Opens the file, reads its frame index and closes it again: nothing is held
    open until :class:`PyAVSeekDecode`, so that a failure in between leaks no
    file handle.

    A segment holds the pictures that appear within ``[start, stop)`` on the
    clock of the file, whatever the frame rate does; where none does, the one
    that is still shown at ``start``.

    Required keys: ``filename``, or ``array`` of shape ``(T, H, W, C)`` with
    ``fps``; optional ``start`` and ``stop`` in seconds.

    Added keys: ``total_frames``, ``start_index`` (both of the segment),
    ``fps``, ``avg_fps``, ``original_shape`` (as stored, before a rotation
    tag is followed), ``segment_seconds`` (from the first picture of the
    segment to the end of its last one; absent for an array without ``fps``).

    Raises:
        OSError: If the file is missing, broken, or shows no picture from
            ``start`` to ``stop``.
        ValueError: If ``start`` and ``stop`` are no seconds, or ``stop`` does
            not come after ``start``.

    Example:
        >>> frames = np.zeros((48, 8, 8, 3), np.uint8)
        >>> results = dict(array=frames, fps=24.0, start=0.5, stop=1.5)
        >>> results = PyAVSeekInit()(results)
        >>> results['start_index'], results['total_frames']
        (12, 24)
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the length, frame rate and shape to ``results``."""
        name = results.get('filename', 'the array')
        index = index_of(results)
        segment = segment_of(results, name)
        if index is not None:
            first, last = 0, index.total_frames
            fps, shape = index.fps, index.shape
            if segment is not None:
                first, last = self._pictures(index, segment, name)
            results['segment_seconds'] = (
                index.seconds(first),
                index.end_of(last - 1),
            )
        elif segment is None:
            first, last, fps = 0, len(results['array']), None
            shape = results['array'].shape[1:3]
        else:
            raise ValueError(
                'fps must be given with start and stop, got none for '
                f'{name}; add the frame rate to the entry'
            )
        results.update(
            start_index=first,
            total_frames=last - first,
            fps=fps,
            avg_fps=fps,
            original_shape=tuple(shape),
        )
        return results

    @staticmethod
    def _pictures(
        index: FrameIndex, segment: tuple[float, float | None], name: str
    ) -> tuple[int, int]:
        first, last = index.between(*segment)
        if first == last:
            raise OSError(
                f'{name} ends after {index.end:.2f} s and shows no picture '
                f'from {segment[0]} to {segment[1]} s; is the file complete?'
            )
        return first, last

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class PyAVSeekDecode(BaseTransform):
    """Decode the sampled frames, starting at the keyframe before them.

    The frames are those of a full decode, pixel by pixel; only the part of
    the file that the clip needs is decoded. A frame whose damage FFmpeg
    repairs is taken as a full decode would give it; one that it cannot decode
    is an error.

    Required keys: ``filename`` (or ``array``), ``frame_inds``.

    Added keys: ``imgs`` (list of uint8 RGB frames ``(H, W, 3)``, one array of
    its own for each entry of ``frame_inds``), ``frame_times`` (when each of
    them is shown, in seconds on the clock of the file, float64; absent for an
    array without ``fps``), ``original_shape``, ``img_shape``,
    ``decoded_frames`` (how many frames were decoded).

    Args:
        thread_type: FFmpeg's threading: ``'NONE'``, ``'SLICE'``, ``'FRAME'``
            or ``'AUTO'``. One thread by default: the data loader's workers
            are the parallel part.
        thread_count: Threads of the decoder, >= 0; 0 lets FFmpeg choose.
        rotate: Whether to turn and mirror pictures as the file's tag says,
            which players do; False leaves them as they are stored.

    Raises:
        ValueError: If the thread type is unknown or a frame number is not in
            the file.
        OSError: If the file is missing or a wanted frame is broken.

    Example:
        >>> PyAVSeekDecode(thread_type='AUTO', thread_count=2)
        PyAVSeekDecode(thread_type='AUTO', thread_count=2, rotate=True)
    """

    def __init__(
        self,
        thread_type: str = 'NONE',
        thread_count: int = 1,
        rotate: bool = True,
    ) -> None:
        check_choice('thread_type', thread_type, _THREAD_TYPES)
        if thread_count < 0:
            raise ValueError(
                f'thread_count must be >= 0, got {thread_count}; '
                '0 lets FFmpeg choose'
            )
        self.thread_type = thread_type
        self.thread_count = thread_count
        self.rotate = rotate

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
                self.rotate,
            )
        # Flip works in place, so a frame that a loop repeats needs a copy.
        imgs = [np.array(frames[number]) for number in numbers]
        results['imgs'] = imgs
        results['decoded_frames'] = decoded
        add_times(results)
        results['original_shape'] = imgs[0].shape[:2]
        results['img_shape'] = imgs[0].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(thread_type={self.thread_type!r}, '
            f'thread_count={self.thread_count}, rotate={self.rotate})'
        )
