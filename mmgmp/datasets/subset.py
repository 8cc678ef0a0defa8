"""A part of a dataset that looks like the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def spread(groups: Sequence[tuple[str, int]], count: int) -> list[int]:
    """Take samples from all domains and classes by turns.

    Annotation files are sorted: their first samples are of one domain, often
    of one class.

    Args:
        groups: Domain and label of each sample.
        count: How many to take, from the front; if negative, from the back.

    Returns:
        Indices in ascending order: of every domain if there are as many as
        domains, and of every class in each if there are as many as both
        multiplied. All if there are fewer than ``count``.

    Example:
        >>> spread([('a', 0), ('a', 0), ('a', 1), ('b', 0), ('b', 0)], 3)
        [0, 2, 3]
    """
    last = len(groups) - 1
    if count < 0:
        backwards = spread(groups[::-1], -count)
        return [last - index for index in reversed(backwards)]
    taken: Counter[tuple[str, int]] = Counter()
    labels: dict[str, list[int]] = {}
    turns = []
    for domain, label in groups:
        known = labels.setdefault(domain, [])
        if label not in known:
            known.append(label)
        turns.append((taken[domain, label], known.index(label)))
        taken[domain, label] += 1
    domains = list(labels)
    order = sorted(
        range(len(groups)),
        key=lambda i: (*turns[i], domains.index(groups[i][0]), i),
    )
    return sorted(order[:count])
