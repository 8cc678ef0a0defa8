"""Read the time stamps of pictures, and judge whether they can be believed."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice, pairwise
from typing import Any, NamedTuple

from av.format import Flags

from mmgmp.datasets.media_clock import clock_zero

# Containers that store when a picture is shown, for every picture. The others
# store when it is decoded (AVI, ASF), the time of some pictures (MPEG-PS) or
# nothing (raw streams); what FFmpeg makes of that differs after a seek.
_STORES_TIMES = ('mov', 'matroska', 'mpegts', 'flv', 'nut', 'ogg')
_STORES_DECODING_TIMES = ('avi', 'asf')
# No codec shows a picture later than this many pictures after decoding it.
_DEEPEST_REORDERING = 16
_HIGHEST_RATE = 1000


class Stamps(NamedTuple):
    """Time stamps of all pictures; see ``FrameIndex`` for the fields."""

    pts: Sequence[int]
    time_base: float
    zero: float
    is_counted: bool = False


def has_even_table(container: Any, stream: Any) -> bool:
    """Whether the header lists the pictures, at even distances.

    Args:
        container: Of PyAV.
        stream: Of PyAV.

    Returns:
        True if :func:`from_table` may be tried.
    """
    entries = getattr(stream, 'index_entries', ())
    is_listed = 'mov' in container.format.name and stream.frames > 1
    if not is_listed or len(entries) != stream.frames:
        return False
    if stream.start_time is None or any(e.is_discard for e in entries):
        return False
    steps = {b.timestamp - a.timestamp for a, b in pairwise(entries)}
    return len(steps) == 1 and steps.pop() > 0


def from_table(container: Any, stream: Any) -> Stamps | None:
    """Time stamps from a table at even distances, None if it misleads.

    The table holds times of decoding; the first packets tell whether
    pictures are shown at the same distances, beginning with the first.
    """
    entries = stream.index_entries
    step = entries[1].timestamp - entries[0].timestamp
    start = stream.start_time
    is_reordered = stream.codec_context.has_b_frames
    count = 2 * _DEEPEST_REORDERING if is_reordered else 1
    packets = list(islice(_packets(container, stream), count))
    if not packets or not packets[0].is_keyframe or packets[0].pts != start:
        return None
    times = sorted(p.pts for p in packets if p.pts is not None)
    # The last pictures that were read may still miss some between them.
    is_all = len(packets) == stream.frames
    settled = times if is_all else times[: (count + 1) // 2]
    if settled != list(range(start, start + step * len(settled), step)):
        return None
    stamps = range(start, start + step * stream.frames, step)
    return Stamps(stamps, float(stream.time_base), clock_zero(container))


def from_packets(container: Any, stream: Any) -> Stamps | None:
    """Time stamps of the packets, None if they cannot be believed."""
    is_intra = stream.codec_context.codec.intra_only
    if not (_stores_times(container) or (is_intra and _is_timed(container))):
        return None
    packets = list(_described(container, stream))
    every = [packet.pts for packet in packets]
    if (
        not every
        or None in every
        or not _is_rising(
            [packet.dts for packet in packets if packet.dts is not None]
        )
    ):
        return None
    # Pictures that need others from before the file are not shown.
    if not packets[0].is_keyframe or min(every) < every[0]:
        return None
    shown = sorted(p.pts for p in packets if not p.is_discard)
    if not _is_rising(shown, strictly=True):
        return None
    stamps = array('q', shown)
    return Stamps(stamps, float(stream.time_base), clock_zero(container))


class _Packet(NamedTuple):
    pts: int | None
    dts: int | None
    is_keyframe: bool
    is_discard: bool


def _described(container: Any, stream: Any) -> Any:
    is_vp8 = stream.codec_context.codec.name == 'vp8'
    for packet in _packets(container, stream):
        # VP8's alternate reference pictures are never shown.
        is_hidden = is_vp8 and not memoryview(packet)[0] & 0x10
        if not is_hidden:
            yield _Packet(
                packet.pts,
                packet.dts,
                packet.is_keyframe,
                packet.is_discard,
            )


def from_pictures(container: Any, stream: Any) -> Stamps | None:
    """Time stamps of the pictures that a full decode gives.

    Where they are no times of showing, pictures are shown at the times of
    decoding, in order; where there are none either, at the stated rate (None
    if none is stated).
    """
    decoding: list[Any] = []
    times: list[Any] = []
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            decoding.append(packet.dts)
        times += [frame.pts for frame in packet.decode()]
    time_base, zero = float(stream.time_base), clock_zero(container)
    name, is_timed = container.format.name, _is_timed(container)
    is_reordered = stream.codec_context.has_b_frames
    is_shown = name not in _STORES_DECODING_TIMES or times == decoding
    if is_timed and is_shown and _is_rising(times, strictly=True):
        is_found = _stores_times(container) or not is_reordered
        is_counted = name == 'mpeg' or not is_found
        return Stamps(array('q', times), time_base, zero, is_counted)
    is_complete = len(decoding) == len(times)
    if is_timed and is_complete and _is_rising(decoding, strictly=True):
        depth = getattr(stream.codec_context, 'reorder_depth', 0)
        stamps = _in_order(decoding, depth, name == 'avi')
        return Stamps(array('q', stamps), time_base, zero, True)
    start = times[0] if times and is_timed else None
    offset = 0.0 if start is None else zero - start * time_base
    rate = stated_rate(stream) or (_told_rate(times, time_base) * is_timed)
    if not rate:
        return None
    return Stamps(range(len(times)), float(1 / rate), offset, True)


def _in_order(
    decoding: Sequence[int], depth: int, is_early: bool
) -> list[int]:
    """Times of showing, where pictures are decoded ``depth`` ahead.

    Args:
        decoding: Time of decoding of every picture.
        depth: By how many pictures decoding is ahead.
        is_early: Whether the first picture is shown when it is decoded: an
            AVI, and its sound, begin with that, whatever there was before.

    Returns:
        As many stamps.
    """
    if not 0 < depth < len(decoding):
        return list(decoding)
    steps = sorted(b - a for a, b in pairwise(decoding))
    step = steps[len(steps) // 2]
    delay = decoding[depth] - decoding[0] if is_early else 0
    behind = [decoding[-1] + step * (k + 1) for k in range(depth)]
    return [stamp - delay for stamp in [*decoding[depth:], *behind]]


def _told_rate(times: Sequence[int | None], time_base: float) -> float:
    """Pictures per second between the first and the last time, 0 if none."""
    told = [(k, time) for k, time in enumerate(times) if time is not None]
    if len(told) < 2 or told[-1][1] <= told[0][1]:
        return 0.0
    (first, start), (last, stop) = told[0], told[-1]
    return (last - first) / ((stop - start) * time_base)


def stated_rate(stream: Any) -> Fraction | None:
    """Return what the header says of pictures per second, None if nothing."""
    for rate in (stream.guessed_rate, stream.average_rate):
        if rate and 0 < rate <= _HIGHEST_RATE:
            return Fraction(rate)
    return None


def mean_rate(stamps: Stamps, stated: Fraction | None) -> float | None:
    """Return pictures per second, None where nothing tells.

    Args:
        stamps: Of all pictures.
        stated: What the header says; taken if it is right but for rounding.

    Returns:
        The rate, > 0.
    """
    count = len(stamps.pts) - 1
    span = count and (stamps.pts[-1] - stamps.pts[0]) * stamps.time_base
    if span <= 0:
        return float(stated) if stated else None
    tolerance = max(stamps.time_base, 1e-3)
    if stated and abs(count / stated - span) <= tolerance:
        return float(stated)
    return count / span


def _packets(container: Any, stream: Any) -> Any:
    return (packet for packet in container.demux(stream) if packet.size)


def _stores_times(container: Any) -> bool:
    return any(name in container.format.name for name in _STORES_TIMES)


def _is_timed(container: Any) -> bool:
    return not container.format.flags & Flags.no_timestamps.value


def _is_rising(values: Sequence[Any], strictly: bool = False) -> bool:
    return None not in values and all(
        b - a >= strictly for a, b in pairwise(values)
    )
