"""Open one media file as training would, and say what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import mmcv

from mmgmp.apis.media_jobs import (
    FAULT_KINDS,
    CheckSettings,
    Fault,
    MediaJob,
    MediaResult,
    Segment,
)
from mmgmp.apis.signal_check import check_signal
from mmgmp.apis.sound_check import check_sound
from mmgmp.apis.video_check import check_video
from mmgmp.utils.file_ends import is_cut, is_image_cut

__all__ = [
    'FAULT_KINDS',
    'CheckSettings',
    'Fault',
    'MediaJob',
    'MediaResult',
    'Segment',
    'check_media',
]


def check_media(job: MediaJob, settings: CheckSettings) -> MediaResult:
    """Check one file with all its segments.

    Sounds are read by ``LoadAudioSegment``, videos by ``PyAVSeekInit`` and
    ``decode_frames``, signals as ``LoadSignalWindow`` does, as in
    training.

    Args:
        job: The file.
        settings: What counts as a fault.

    Returns:
        The faults; an unreadable file is one, never an exception.

    Example:
        >>> job = MediaJob('sound', ('absent.wav',), '', (Segment('a'),))
        >>> [fault.kind for fault in check_media(job, CheckSettings()).faults]
        ['missing']
    """
    faults = [
        job.fault('missing', 'there is no such file', path)
        for path in job.paths
        if not os.path.exists(path)
    ]
    if faults:
        return MediaResult(tuple(faults))
    try:
        if job.kind != 'frames':
            faults = [
                job.fault('truncated', text, path)
                for path in job.paths
                if (text := is_cut(path))
            ]
        if faults:
            return MediaResult(tuple(faults))
        return _CHECKS[job.kind](job, settings)
    # Decoders raise whatever they like on damaged files, and one file must
    # not end the check of the others.
    except Exception as error:
        text = f'{type(error).__name__}: {error}'
        return MediaResult((job.fault('undecodable', text),))


def _check_frames(job: MediaJob, settings: CheckSettings) -> MediaResult:
    faults: list[Fault] = []
    for folder in job.paths:
        present = set(os.listdir(folder))
        checked: dict[int, str] = {}
        for part in job.segments:
            first, behind = part.start, part.stop
            numbers = range(
                1 if first is None else int(first),
                1 if behind is None else int(behind),
            )
            names = {number: job.template.format(number) for number in numbers}
            absent = [name for name in names.values() if name not in present]
            samples = (part.sample,)
            if absent:
                text = (
                    f'{len(absent)} of {len(names)} frames are not there, '
                    f'the first {absent[0]}'
                )
                faults.append(job.fault('frame-count', text, folder, samples))
            wanted = numbers if settings.full else (numbers[0], numbers[-1])
            for number in wanted:
                if number not in checked and names[number] in present:
                    path = Path(folder, names[number])
                    checked[number] = _check_image(path)
            found = {n: checked.get(n, '') for n in numbers}
            faults += [
                job.fault(kind, text, folder, samples)
                for kind, text in _image_faults(found)
            ]
    return MediaResult(tuple(faults))


def _image_faults(found: dict[int, str]) -> Iterable[tuple[str, str]]:
    for kind in ('truncated', 'undecodable'):
        numbers = [number for number, value in found.items() if value == kind]
        if numbers:
            yield kind, f'{len(numbers)} frames, the first number {numbers[0]}'


def _check_image(path: Path) -> str:
    """Kind of fault of an image, ``''`` if there is none."""
    content = path.read_bytes()
    if is_image_cut(content):
        return 'truncated'
    image = mmcv.imfrombytes(content, flag='unchanged')
    return 'undecodable' if image is None else ''


_CHECKS: dict[str, Callable[[MediaJob, CheckSettings], MediaResult]] = {
    'sound': check_sound,
    'video': check_video,
    'frames': _check_frames,
    'signal': check_signal,
}
