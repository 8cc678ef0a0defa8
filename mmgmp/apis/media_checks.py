"""Open one media file as training would, and say what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import mmcv
import numpy as np
import soundfile

from mmgmp.datasets.transforms.frame_index import open_video, read_frame_index
from mmgmp.datasets.transforms.pyav_seek import decode_frames
from mmgmp.utils.file_ends import is_cut, is_image_cut

FAULT_KINDS = (
    'annotation',
    'missing',
    'truncated',
    'undecodable',
    'frame-count',
    'too-short',
    'silent',
    'sample-rate',
    'count',
)
# What readers raise on damaged files besides the errors of their own.
_READER_BUGS = (
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
_BLOCK_SECONDS = 60


@dataclass(frozen=True)
class CheckSettings:
    """What counts as a fault.

    Args:
        sample_rate: Rate that sounds must have in Hz; ``None`` takes any.
        min_seconds: Shortest file or segment, in seconds.
        tolerance: Seconds by which a segment may reach beyond its file, and a
            sound end before its video.
        silence: A sound that nowhere exceeds this is silent; 1 is full scale.
        full: Whether to decode everything, or the ends alone.
    """

    sample_rate: int | None = 16000
    min_seconds: float = 0.1
    tolerance: float = 0.5
    silence: float = 1e-4
    full: bool = True


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file, and the samples that it concerns.

    Args:
        kind: One of ``FAULT_KINDS``.
        path: The file.
        message: What is wrong.
        samples: Ids of the samples.
    """

    kind: str
    path: str
    message: str
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """The part of a file that a sample uses.

    Args:
        sample: Id of the sample.
        start: First second, or frame number for folders; ``None`` is the
            beginning.
        stop: Last second, or frame number behind the last one; ``None`` is the
            end.
    """

    sample: str
    start: float | None = None
    stop: float | None = None


@dataclass(frozen=True)
class MediaJob:
    """A file, or two of flow, with every segment that is used of it.

    Args:
        kind: ``'sound'``, ``'video'`` or ``'frames'`` (a folder of images).
        paths: One path; two for flow.
        template: Name of an image with a field for its number.
        segments: What the samples use.
    """

    kind: str
    paths: tuple[str, ...]
    template: str
    segments: tuple[Segment, ...]

    @property
    def samples(self) -> tuple[str, ...]:
        """Ids of all samples, each once."""
        return tuple(dict.fromkeys(part.sample for part in self.segments))


@dataclass(frozen=True)
class MediaResult:
    """What a check found.

    Args:
        faults: What is wrong.
        seconds: Length of the file; ``None`` if unknown.
    """

    faults: tuple[Fault, ...] = ()
    seconds: float | None = None


def check_media(job: MediaJob, settings: CheckSettings) -> MediaResult:
    """Check one file with all its segments.

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
        Fault('missing', path, 'there is no such file', job.samples)
        for path in job.paths
        if not os.path.exists(path)
    ]
    if faults:
        return MediaResult(tuple(faults))
    try:
        if job.kind != 'frames':
            faults = [
                Fault('truncated', path, text, job.samples)
                for path in job.paths
                if (text := is_cut(path))
            ]
        if faults:
            return MediaResult(tuple(faults))
        return _CHECKS[job.kind](job, settings)
    except (OSError, *_READER_BUGS) as error:
        text = f'{type(error).__name__}: {error}'
        fault = Fault('undecodable', job.paths[0], text, job.samples)
        return MediaResult((fault,))


def _check_sound(job: MediaJob, settings: CheckSettings) -> MediaResult:
    path = job.paths[0]
    with soundfile.SoundFile(path) as file:
        rate, seconds = file.samplerate, file.frames / file.samplerate
        faults = _check_lengths(job, seconds, settings)
        if settings.sample_rate not in (None, rate):
            text = f'has {rate} Hz, expected {settings.sample_rate}'
            faults.append(Fault('sample-rate', path, text, job.samples))
        for part in job.segments:
            first = min(round((part.start or 0) * rate), file.frames)
            stop = seconds if part.stop is None else part.stop
            last = max(min(round(stop * rate), file.frames), first)
            fault = _check_waveform(file, first, last, settings)
            if fault and last > first:
                faults.append(Fault(*fault, samples=(part.sample,)))
    return MediaResult(tuple(faults), seconds)


def _check_waveform(
    file: soundfile.SoundFile, first: int, last: int, settings: CheckSettings
) -> tuple[str, str, str] | None:
    """Kind, path and message of what is wrong between two samples."""
    block = _BLOCK_SECONDS * file.samplerate
    peak = 0.0
    file.seek(first)
    for position in range(first, last, block):
        wanted = min(block, last - position)
        wave = file.read(wanted, dtype='float32', always_2d=True)
        if len(wave) < wanted:
            text = f'ends at sample {position + len(wave)} of {file.frames}'
            return 'truncated', file.name, text
        if not np.isfinite(wave).all():
            return 'undecodable', file.name, 'holds values that are not finite'
        peak = max(peak, float(np.abs(wave).max()))
    if peak <= settings.silence:
        times = (
            f'{first / file.samplerate:.2f} to {last / file.samplerate:.2f}'
        )
        return 'silent', file.name, f'peak {peak:.1e} from {times} s'
    return None


def _check_video(job: MediaJob, settings: CheckSettings) -> MediaResult:
    faults = []
    for path in job.paths:
        try:
            problem = _decode(path, settings)
        except OSError as error:
            problem = ('undecodable', str(error))
        if problem:
            faults.append(Fault(problem[0], path, problem[1], job.samples))
    if any(fault.kind == 'undecodable' for fault in faults):
        return MediaResult(tuple(faults))
    indices = [read_frame_index(path) for path in job.paths]
    sizes = [(index.total_frames, *index.shape) for index in indices]
    if len(set(sizes)) > 1:
        text = f'x and y differ in frames, height or width: {sizes}'
        faults.append(Fault('frame-count', job.paths[0], text, job.samples))
    seconds = indices[0].total_frames / indices[0].fps
    faults += _check_lengths(job, seconds, settings)
    return MediaResult(tuple(faults), seconds)


def _decode(path: str, settings: CheckSettings) -> tuple[str, str] | None:
    """Kind and message of what is wrong with the frames of a video."""
    total = read_frame_index(path).total_frames
    if not settings.full:
        decode_frames(path, [0, total - 1])
        return None
    count, damaged = 0, []
    with open_video(path) as (container, stream):
        for frame in container.decode(stream):
            if frame.is_corrupt:
                damaged.append(count)
            count += 1
    if damaged:
        text = f'{len(damaged)} of {total} frames are damaged: {damaged[:5]}'
        return 'undecodable', text
    if count != total:
        return 'frame-count', f'holds {count} frames, its header says {total}'
    return None


def _check_lengths(
    job: MediaJob, seconds: float, settings: CheckSettings
) -> list[Fault]:
    """Too short as a whole, or for a segment."""
    path = job.paths[0]
    if seconds < settings.min_seconds:
        text = f'lasts {seconds:.3f} s, expected {settings.min_seconds} s'
        return [Fault('too-short', path, text, job.samples)]
    faults = []
    for part in job.segments:
        start = part.start or 0
        stop = seconds if part.stop is None else part.stop
        is_inside = start < seconds and stop <= seconds + settings.tolerance
        if not is_inside or stop - start < settings.min_seconds:
            text = f'lasts {seconds:.2f} s, wanted is {start:g} to {stop:g} s'
            faults.append(Fault('too-short', path, text, (part.sample,)))
    return faults


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
            if absent:
                text = (
                    f'{len(absent)} of {len(names)} frames are not there, '
                    f'the first {absent[0]}'
                )
                samples = (part.sample,)
                faults.append(Fault('frame-count', folder, text, samples))
            wanted = numbers if settings.full else (numbers[0], numbers[-1])
            for number in wanted:
                if number not in checked and names[number] in present:
                    path = Path(folder, names[number])
                    checked[number] = _check_image(path)
            faults += _image_faults(
                folder, part.sample, {n: checked.get(n, '') for n in numbers}
            )
    return MediaResult(tuple(faults))


def _image_faults(
    folder: str, sample: str, found: dict[int, str]
) -> Iterable[Fault]:
    for kind in ('truncated', 'undecodable'):
        numbers = [number for number, value in found.items() if value == kind]
        if numbers:
            text = f'{len(numbers)} frames, the first number {numbers[0]}'
            yield Fault(kind, folder, text, (sample,))


def _check_image(path: Path) -> str:
    """Kind of fault of an image, ``''`` if there is none."""
    content = path.read_bytes()
    if is_image_cut(content):
        return 'truncated'
    image = mmcv.imfrombytes(content, flag='unchanged')
    return 'undecodable' if image is None else ''


_CHECKS: dict[str, Callable[[MediaJob, CheckSettings], MediaResult]] = {
    'sound': _check_sound,
    'video': _check_video,
    'frames': _check_frames,
}
