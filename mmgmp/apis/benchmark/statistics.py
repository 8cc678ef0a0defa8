"""Means over seeds, and differences between runs with the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Metric by seed.
BySeed = Mapping[int, float]


@dataclass(frozen=True)
class Summary:
    """Mean and spread over seeds.

    Args:
        mean: Arithmetic mean.
        std: Sample standard deviation (n - 1), None for one seed.
        population_std: Population standard deviation (n).
        n: Number of seeds.
    """

    mean: float
    std: float | None
    population_std: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean difference of pairs and its confidence interval.

    Args:
        mean: Mean of the differences.
        low: Lower end, None for fewer than two pairs.
        high: Upper end, None for fewer than two pairs.
        n: Number of pairs.
        confidence: Level of the interval, in (0, 1).
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    confidence: float = 0.95

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0


def summarise(values: Sequence[float]) -> Summary | None:
    """Summarise one number per seed.

    Args:
        values: One number per seed.

    Returns:
        The summary, or None without values.

    Example:
        >>> summarise([1.0, 3.0])
        Summary(mean=2.0, std=1.4142135623730951, population_std=1.0, n=2)
    """
    if not len(values):
        return None
    return Summary(
        float(np.mean(values)),
        float(np.std(values, ddof=1)) if len(values) > 1 else None,
        float(np.std(values)),
        len(values),
    )


def paired_difference(
    values: BySeed, reference: BySeed, confidence: float = 0.95
) -> Difference | None:
    """Compare two methods seed by seed.

    Runs with the same seed and split share their initial weights and the
    order of the data, so their difference varies less than two means do. The
    interval is Student's t of the paired differences, with n - 1 degrees
    of freedom; with two or three seeds it is wide, as it should be.

    Args:
        values: Metric of the method by seed.
        reference: Metric of the one that it is compared with.
        confidence: Level of the interval, in (0, 1).

    Returns:
        Difference ``values - reference`` over the common seeds, or None
        without any.

    Raises:
        ValueError: If ``confidence`` is out of range.

    Example:
        >>> found = paired_difference({0: 3.0, 1: 5.0}, {0: 2.0, 1: 2.0})
        >>> found.mean, round(found.low, 2), round(found.high, 2)
        (2.0, -10.71, 14.71)
    """
    from scipy.stats import t

    if not 0 < confidence < 1:
        raise ValueError(f'confidence must be in (0, 1), got {confidence}')
    seeds = sorted(set(values) & set(reference))
    if not seeds:
        return None
    differences = np.array([values[s] - reference[s] for s in seeds])
    mean, n = float(differences.mean()), len(seeds)
    if n < 2:
        return Difference(mean, None, None, n, confidence)
    half = float(
        t.ppf((1 + confidence) / 2, n - 1)
        * differences.std(ddof=1)
        / np.sqrt(n)
    )
    return Difference(mean, mean - half, mean + half, n, confidence)


def average_targets(by_target: Mapping[str, BySeed]) -> dict[int, float]:
    """Average over the targets, seed by seed.

    Args:
        by_target: Metric by seed, by target.

    Returns:
        Mean over all targets of every seed that has them all.

    Example:
        >>> average_targets({'H': {0: 1.0, 1: 5.0}, 'A': {0: 3.0}})
        {0: 2.0}
    """
    if not by_target:
        return {}
    seeds = set.intersection(*(set(values) for values in by_target.values()))
    return {
        seed: float(np.mean([values[seed] for values in by_target.values()]))
        for seed in sorted(seeds)
    }
