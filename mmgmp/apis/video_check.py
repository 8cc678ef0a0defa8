"""Decode a video file as training does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mmgmp.apis.media_jobs import CheckSettings, Fault, MediaJob, MediaResult
from mmgmp.apis.sound_check import length_faults
from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.datasets.transforms.pyav_seek import PyAVSeekInit, decode_frames
from mmgmp.datasets.transforms.video_file import open_video, to_image

# Pictures of a file that are read alone, and at most compared.
_SPREAD, _COMPARED = 5, 12


def check_video(job: MediaJob, settings: CheckSettings) -> MediaResult:
    """Check a video file, or two of flow, with all segments.

    Decodes each file from end to end, then single frames as training does,
    which must be the same pictures.

    Args:
        job: The file or files.
        settings: What counts as a fault.

    Returns:
        The faults.
    """
    faults: list[Fault] = []
    for path in job.paths:
        faults += _check_file(job, path, settings)
    if any(fault.kind == 'undecodable' for fault in faults):
        return MediaResult(tuple(faults))
    indices = [read_frame_index(path) for path in job.paths]
    sizes = [(index.total_frames, *index.shape) for index in indices]
    if len(set(sizes)) > 1:
        text = f'x and y differ in frames, height or width: {sizes}'
        faults.append(job.fault('frame-count', text))
    # On the clock of the file, as segments are.
    seconds = indices[0].end
    told = {fault.samples for fault in faults if fault.kind == 'too-short'}
    faults += [
        fault
        for fault in length_faults(job, seconds, settings)
        if fault.samples not in told
    ]
    return MediaResult(tuple(faults), seconds)


def _check_file(
    job: MediaJob, path: str, settings: CheckSettings
) -> Iterator[Fault]:
    try:
        yield from _check_pictures(job, path, settings)
    except OSError as error:
        yield job.fault('undecodable', str(error), path)


def _check_pictures(
    job: MediaJob, path: str, settings: CheckSettings
) -> Iterator[Fault]:
    """What is wrong with the frames of one file."""
    total = read_frame_index(path).total_frames
    numbers, faults = _frames_of_segments(job, path)
    yield from faults
    spread = np.linspace(0, total - 1, _SPREAD if settings.full else 2)
    numbers = sorted({*spread.astype(int).tolist(), *numbers})
    few = numbers[:: -(-len(numbers) // _COMPARED)]
    kept: dict[int, Any] = {}
    if settings.full:
        count, damaged, kept = _decode_all(path, few)
        if damaged:
            text = f'{len(damaged)} of {total} frames are damaged: '
            yield job.fault('undecodable', f'{text}{damaged[:5]}', path)
            return
        if count != total:
            text = f'holds {count} frames, its header says {total}'
            yield job.fault('frame-count', text, path)
            return
    for number in numbers:
        frames, _ = decode_frames(path, [number])
        if number in kept and not np.array_equal(frames[number], kept[number]):
            text = f'frame {number}, read alone, is another than in order'
            yield job.fault('undecodable', text, path)
            return


def _frames_of_segments(
    job: MediaJob, path: str
) -> tuple[list[int], list[Fault]]:
    """First, middle and last frame of every segment, as training counts."""
    numbers, faults = [], []
    for part in job.segments:
        if part.start is None and part.stop is None:
            continue
        results = {'filename': path, 'start': part.start, 'stop': part.stop}
        try:
            results = PyAVSeekInit()(results)
        except OSError as error:
            faults.append(
                job.fault('too-short', str(error), path, (part.sample,))
            )
            continue
        first = results['start_index']
        last = first + results['total_frames'] - 1
        numbers += [first, (first + last) // 2, last]
    return numbers, faults


def _decode_all(
    path: str, wanted: Sequence[int]
) -> tuple[int, list[int], dict[int, Any]]:
    """Count the frames, list the damaged, and keep some pictures."""
    count, damaged, kept = 0, [], {}
    with open_video(path) as (container, stream):
        for frame in container.decode(stream):
            if frame.is_corrupt:
                damaged.append(count)
            if count in wanted:
                kept[count] = to_image(frame, path)
            count += 1
    return count, damaged, kept
