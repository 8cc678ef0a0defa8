"""Read a stored signal as training does."""

from __future__ import annotations

import numpy as np

from mmgmp.apis.media_jobs import (
    CheckSettings,
    Fault,
    MediaJob,
    MediaResult,
    Segment,
)
from mmgmp.datasets.transforms.signal_file import open_signal, read_window


def check_signal(job: MediaJob, settings: CheckSettings) -> MediaResult:
    """Check a stored signal with all its windows.

    A signal has no rate, so nothing is said of its seconds. Without
    ``settings.full`` the first and the last window are read.

    Args:
        job: The file.
        settings: What counts as a fault.

    Returns:
        The faults.

    Raises:
        OSError: If it is no array of numbers.
    """
    path = job.paths[0]
    signal = open_signal(path)
    parts = sorted(job.segments, key=lambda part: part.start or 0)
    faults = [f for p in parts if (f := _length_fault(job, p, len(signal)))]
    short = {fault.samples[0] for fault in faults}
    parts = [part for part in parts if part.sample not in short]
    for part in parts if settings.full else parts[:1] + parts[1:][-1:]:
        fault = _window_fault(job, part, signal)
        if fault:
            faults.append(fault)
    return MediaResult(tuple(faults))


def _length_fault(job: MediaJob, part: Segment, length: int) -> Fault | None:
    start, stop = part.start or 0, part.stop
    if start < (length if stop is None else stop) <= length:
        return None
    text = f'holds {length} samples, wanted are {start} to {stop or "the end"}'
    return job.fault('too-short', text, samples=(part.sample,))


def _window_fault(
    job: MediaJob, part: Segment, signal: np.ndarray
) -> Fault | None:
    path, whom = job.paths[0], (part.sample,)
    start = int(part.start or 0)
    count = None if part.stop is None else int(part.stop) - start
    try:
        window = read_window(signal, start, count, path)
    except OSError as error:
        return job.fault('undecodable', str(error), samples=whom)
    still = np.flatnonzero(np.ptp(window, axis=0) == 0).tolist()
    if still:
        text = f'channels {still} do not move from sample {start} on'
        return job.fault('silent', text, samples=whom)
    return None
