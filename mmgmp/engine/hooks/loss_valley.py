"""Where a course of losses has its valley."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Valley(NamedTuple):
    """A valley as it is known so far.

    Args:
        start: Its first measurement, counted from 0.
        stop: The first one behind it.
        is_closed: Whether later measurements cannot change it.
    """

    start: int
    stop: int
    is_closed: bool


def find_valley(
    losses: Sequence[float],
    num_converge: int = 3,
    num_tolerance: int = 6,
    tolerance_ratio: float = 0.3,
) -> Valley | None:
    """Find the span in which a loss stays low.

    It starts at the first loss that is the smallest of ``num_converge`` in a
    row. The mean of those times ``1 + tolerance_ratio`` is the limit. It goes
    on while one of each measurement and those behind it, ``num_tolerance``
    in all, is at most the limit, and so ends ``num_tolerance`` measurements
    before all of them are above. At the end of the losses fewer decide.

    Args:
        losses: Measured so far, in order; NaN counts as infinite.
        num_converge: Measurements that make a start, >= 1.
        num_tolerance: Measurements that make an end, >= 1.
        tolerance_ratio: How far above the start is tolerated, >= 0.

    Returns:
        The valley; None until it has started.

    Example:
        >>> losses = [5, 3, 2, 2.1, 2.2, 2, 2.9, 3, 3.1, 3.2, 3.3]
        >>> find_valley(losses)
        Valley(start=2, stop=6, is_closed=False)
        >>> find_valley([*losses, 3.4])
        Valley(start=2, stop=6, is_closed=True)

    Source: SWAD (arXiv 2102.08604), Algorithm 1, as its code has it: the
    losses that close the valley are not in it [inferred].
    """
    values = [math.inf if math.isnan(x) else float(x) for x in losses]
    for start in range(len(values) - num_converge + 1):
        row = values[start : start + num_converge]
        if row[0] == min(row) and math.isfinite(sum(row)):
            break
    else:
        return None
    limit = sum(row) / num_converge * (1 + tolerance_ratio)
    for place in range(start, len(values)):
        ahead = values[place : place + num_tolerance]
        if min(ahead) > limit:
            return Valley(start, place, len(ahead) == num_tolerance)
    return Valley(start, len(values), False)
