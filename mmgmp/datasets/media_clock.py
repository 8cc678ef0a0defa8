"""The one clock that pictures and sound of a media file share."""

from __future__ import annotations

from typing import Any

import av


def clock_zero(container: Any) -> float:
    """Return which time stamp is second 0 of a file, in seconds.

    Second 0 is where players start: the earliest time stamp of any stream.
    It is 0 for most files; broadcast formats (MPEG-TS, MPEG-PS) count from
    an arbitrary number. A stream that starts before 0 has samples there that
    are only for the decoder (the priming of AAC and Opus, the pictures before
    a lossless cut), so that 0 stays the beginning.

    Args:
        container: An open PyAV input container.

    Returns:
        Seconds to take off a time stamp, >= 0.

    Example:
        >>> from types import SimpleNamespace
        >>> clock_zero(SimpleNamespace(start_time=1_400_000))
        1.4
        >>> clock_zero(SimpleNamespace(start_time=-21_333))
        0.0
    """
    start = container.start_time
    return max(start or 0, 0) / av.time_base
