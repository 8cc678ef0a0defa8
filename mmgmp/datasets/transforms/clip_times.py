"""From a segment to its pictures, and from sampled pictures to seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from mmgmp.datasets.transforms.frame_index import FrameIndex, read_frame_index

Spans = tuple[tuple[float, float], ...]


def segment_of(
    results: Mapping[str, Any], name: str
) -> tuple[float, float | None] | None:
    """Return the annotated seconds of a sample.

    Args:
        results: Of a modality's list.
        name: File, for the error message.

    Returns:
        ``start`` and ``stop`` (None is the end of the file), or None where
        neither is annotated.

    Raises:
        ValueError: If they are no seconds, or ``stop`` does not come after
            ``start``.

    Example:
        >>> segment_of(dict(stop=1.5), 'clip.mp4')
        (0.0, 1.5)
    """
    start, stop = results.get('start'), results.get('stop')
    if start is None and stop is None:
        return None
    for key, value in (('start', start), ('stop', stop)):
        if value is not None and not _is_second(value):
            raise ValueError(
                f'{key} must be a number of seconds >= 0, got {value!r} for '
                f'{name}; correct the annotation'
            )
    start = 0.0 if start is None else float(start)
    if stop is not None and stop <= start:
        raise ValueError(
            f'stop must come after start, got start={start} and stop={stop} '
            f's for {name}; correct the annotation'
        )
    return start, None if stop is None else float(stop)


def _is_second(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return math.isfinite(float(value)) and float(value) >= 0


def index_of(results: Mapping[str, Any]) -> FrameIndex | None:
    """Return when the pictures of a sample are shown.

    Args:
        results: Of a modality's list, with ``filename`` of a video file, or
            with an ``array`` or a folder of frames and ``fps``.

    Returns:
        The index; None for an array or a folder without a frame rate.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If ``fps`` is no rate.
    """
    is_file = 'array' not in results and 'frame_dir' not in results
    if is_file and 'filename' in results:
        return read_frame_index(results['filename'])
    fps = results.get('fps') or results.get('avg_fps')
    if not fps:
        return None
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(
            f'fps must be > 0, got {fps}; correct the frame rate of the entry'
        )
    shape = (0, 0)
    if 'array' in results:
        count, shape = len(results['array']), results['array'].shape[1:3]
    else:
        count = results.get('start_index', 0) + results['total_frames']
    return FrameIndex(range(count), float(fps), shape, 1 / fps)


def add_times(results: dict[str, Any]) -> None:
    """Add ``frame_times``, when each sampled picture is shown, if known.

    Args:
        results: With ``frame_inds`` and what :func:`index_of` takes.
    """
    index = index_of(results)
    if index is not None:
        numbers = np.reshape(results['frame_inds'], -1)
        results['frame_times'] = index.times(numbers)


def sampled_seconds(output: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a clip shows, as later modalities are told.

    Args:
        output: Results of a modality's list.

    Returns:
        ``clip_frames`` (first and last number), and where the times are known
        ``clip_seconds`` (first and last second) and ``clip_spans`` (see
        :func:`spans_of`); nothing if no frame was sampled.
    """
    if 'frame_inds' not in output:
        return {}
    numbers = np.reshape(output['frame_inds'], -1)
    clip: dict[str, Any] = {'clip_frames': (int(numbers[0]), int(numbers[-1]))}
    times, loop = output.get('frame_times'), output.get('segment_seconds')
    if times is None or loop is None:
        index = index_of(output)
        if index is None:
            return clip
        if numbers.max() >= index.total_frames:
            raise OSError(
                f'{output.get("filename", "the folder")} holds '
                f'{index.total_frames} pictures, number {numbers.max()} was '
                'sampled; read it with PyAVSeekInit and PyAVSeekDecode'
            )
        times, loop = index.times(numbers), (index.seconds(0), index.end)
    clip['clip_seconds'] = (float(times[0]), float(times[-1]))
    clip['clip_spans'] = spans_of(times, loop)
    return clip


def spans_of(
    times: Sequence[float] | np.ndarray, loop: tuple[float, float]
) -> Spans:
    """Return the seconds that a clip runs through, in viewing order.

    A clip longer than its segment begins again. What is heard must do so
    too, and at the same moment.

    Args:
        times: When each picture of the clip is shown, in seconds.
        loop: First second of the segment that is sampled, and its end.

    Returns:
        ``(start, stop)`` pairs. An ordinary clip is one pair, from its first
        picture to its last; another begins where the time goes back. Before
        that, the last picture is shown for as long as the others. A clip of
        one picture lasts as long as that is shown.

    Example:
        >>> spans_of([0.0, 0.5, 1.0, 1.5], (0.0, 4.0))
        ((0.0, 1.5),)
        >>> spans_of([0.0, 0.5, 1.0, 0.25, 0.75], (0.0, 1.25))
        ((0.0, 1.25), (0.0, 0.75))
    """
    times = np.asarray(times, float)
    steps = np.diff(times)
    forward = steps[steps > 0]
    step = float(np.median(forward)) if len(forward) else 0.0
    spans = []
    missing = 0.0
    for part in np.split(times, np.flatnonzero(steps < 0) + 1):
        # The loop may end before the step does; the rest of it follows.
        start = max(part[0] - missing, min(loop[0], part[0]))
        stop = max(part[-1], min(part[-1] + step, loop[1]))
        missing = part[-1] + step - stop
        spans.append((float(start), float(stop)))
    last = float(times[-1])
    if len(spans) == 1 and last == spans[0][0]:
        return ((last, max(last, loop[1])),)
    return (*spans[:-1], (spans[-1][0], last))
