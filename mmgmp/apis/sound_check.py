"""Read a sound file as training does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soundfile

from mmgmp.apis.media_jobs import (
    CheckSettings,
    Fault,
    MediaJob,
    MediaResult,
    Segment,
)
from mmgmp.datasets.transforms.audio_loading import LoadAudioSegment

# So much is held in memory at once.
_BLOCK_SECONDS = 3600.0


def check_sound(job: MediaJob, settings: CheckSettings) -> MediaResult:
    """Check a sound file with all its segments.

    Args:
        job: The file.
        settings: What counts as a fault.

    Returns:
        The faults.

    Raises:
        OSError: If the file cannot be opened.
    """
    path = job.paths[0]
    load = LoadAudioSegment(
        **{**settings.sound, 'crop': 'entry', 'on_empty': 'raise'}
    )
    # What training says about a file that it cannot open comes from here.
    load({'filename': path, 'start': 0.0, 'stop': settings.min_seconds})
    info = soundfile.info(path)
    seconds = info.frames / info.samplerate
    faults = length_faults(job, seconds, settings)
    if settings.sample_rate not in (None, info.samplerate):
        text = f'has {info.samplerate} Hz, expected {settings.sample_rate}'
        faults.append(job.fault('sample-rate', text))
    outside = {sample for fault in faults for sample in fault.samples}
    for part in job.segments:
        if part.sample in outside and (part.start or 0.0) >= seconds:
            continue
        faults += _check_segment(job, part, seconds, load, settings)
    return MediaResult(tuple(faults), seconds)


def _check_segment(
    job: MediaJob,
    part: Segment,
    seconds: float,
    load: LoadAudioSegment,
    settings: CheckSettings,
) -> Iterator[Fault]:
    start = part.start or 0.0
    stop = seconds if part.stop is None else min(part.stop, seconds)
    peak = 0.0
    for first in np.arange(start, stop, _BLOCK_SECONDS):
        last = min(first + _BLOCK_SECONDS, stop)
        # The very end is left to the reader, which need not compute it.
        is_end = part.stop is None and last == stop
        results = {
            'filename': job.paths[0],
            'start': float(first),
            'stop': None if is_end else float(last),
        }
        try:
            wave = load(results)['waveform']
        except OSError as error:
            yield job.fault('undecodable', str(error), samples=(part.sample,))
            return
        if len(wave):
            peak = max(peak, float(np.abs(wave).max()))
    if peak <= settings.silence:
        text = f'peak {peak:.1e} from {start:.2f} to {stop:.2f} s'
        yield job.fault('silent', text, samples=(part.sample,))


def length_faults(
    job: MediaJob, seconds: float, settings: CheckSettings
) -> list[Fault]:
    """Find what is too short as a whole, or for a segment.

    Args:
        job: The file.
        seconds: How long it is.
        settings: What counts as a fault.
    """
    if seconds < settings.min_seconds:
        text = f'lasts {seconds:.3f} s, expected {settings.min_seconds} s'
        return [job.fault('too-short', text)]
    faults = []
    for part in job.segments:
        start = part.start or 0
        stop = seconds if part.stop is None else part.stop
        is_inside = start < seconds and stop <= seconds + settings.tolerance
        if not is_inside or stop - start < settings.min_seconds:
            text = f'lasts {seconds:.2f} s, wanted is {start:g} to {stop:g} s'
            samples = (part.sample,)
            faults.append(job.fault('too-short', text, samples=samples))
    return faults
