"""Read a sound file as training does."""

from __future__ import annotations

import numpy as np

from mmgmp.apis.media_jobs import (
    CheckSettings,
    Fault,
    MediaJob,
    MediaResult,
)
from mmgmp.datasets.sound_file import open_sound
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
    # Silence is a fault of its own kind, whatever training makes of it.
    load = LoadAudioSegment(
        **{**settings.sound, 'crop': 'entry', 'on_silence': 'keep'}
    )
    with open_sound(path) as file:
        rate, seconds = file.samplerate, file.frames / file.samplerate
    faults = length_faults(job, seconds, settings)
    if settings.sample_rate not in (None, rate):
        text = f'has {rate} Hz, expected {settings.sample_rate}'
        faults.append(job.fault('sample-rate', text))
    spans: dict[tuple[float, float | None], list[str]] = {}
    for part in job.segments:
        span = (part.start or 0.0, part.stop)
        spans.setdefault(span, []).append(part.sample)
    for (start, stop), samples in spans.items():
        # One that begins behind the end has been named above.
        if start < seconds:
            end = seconds if stop is None else min(stop, seconds)
            problem = _problem_between(path, start, end, load, settings)
            if problem:
                faults.append(job.fault(*problem, samples=tuple(samples)))
    return MediaResult(tuple(faults), seconds)


def _problem_between(
    path: str,
    start: float,
    stop: float,
    load: LoadAudioSegment,
    settings: CheckSettings,
) -> tuple[str, str] | None:
    """Kind and message of what is wrong between two seconds."""
    low, high = np.inf, -np.inf
    for first in np.arange(start, stop, _BLOCK_SECONDS):
        last = min(first + _BLOCK_SECONDS, stop)
        results = {'filename': path, 'start': first, 'stop': last}
        try:
            wave = load(results)['waveform']
        except OSError as error:
            return 'undecodable', str(error)
        if len(wave):
            low, high = min(low, wave.min()), max(high, wave.max())
    # A constant offset is as silent as zeros are.
    moves = max(float(high - low), 0.0)
    if moves <= settings.silence:
        text = f'moves by {moves:.1e} from {start:.2f} to {stop:.2f} s'
        return 'silent', text
    return None


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
