"""The tables of a report, computed from the long-form numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mmgmp.apis.report.published import Published, find_published
from mmgmp.apis.report.results import LAST_EPOCH, Results

AVERAGE = 'avg'
CONFIDENCE = 0.95
#: Place of the chosen trial of a search, which is the first run everywhere.
_WINNER = -1
#: Columns that tell runs apart: for means, and for pairs.
_RUNS = ('place', 'seed')


@dataclass(frozen=True)
class Table:
    """One metric of all methods on all targets, in percent.

    ``by_place`` has a row per method and run, and a column per target and
    ``'avg'``; the chosen trials of a search are one run. ``by_seed`` has the
    seeds instead, which pairs are made of.
    """

    results: Results
    metric: str
    modalities: str
    by_place: pd.DataFrame
    by_seed: pd.DataFrame

    @property
    def title(self) -> str:
        """Heading of the table."""
        return ', '.join(filter(None, (self.metric, self.modalities)))

    @property
    def columns(self) -> list[str]:
        """Targets, then ``'avg'`` where there are several."""
        return list(self.by_place.columns)

    @cached_property
    def methods(self) -> list[str]:
        """Those with a number, in the order of the plan."""
        found = set(self.by_place.index.get_level_values('method'))
        return [name for name in self.results.plan.methods if name in found]

    @cached_property
    def means(self) -> pd.DataFrame:
        """Mean, both deviations and n by method and column with a number."""
        long = self.by_place.stack().dropna()
        found = long.groupby(level=['method', 'column']).agg(
            mean='mean',
            std='std',
            population_std=lambda values: values.std(ddof=0),
            n='count',
        )
        order = product(self.methods, self.columns)
        return found.reindex(order).dropna(subset='mean')

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Mean, ends of the interval, and n, by method, other and column."""
        rows = [
            {'method': a, 'other': b, 'column': column, **found}
            for a, b in self._pairs()
            for column, values in self.by_seed.loc[a].items()
            if (
                found := paired_difference(values, self.by_seed.loc[b][column])
            )
        ]
        keys = ['method', 'other', 'column']
        frame = pd.DataFrame(rows, columns=[*keys, 'mean', 'low', 'high', 'n'])
        return frame.set_index(keys)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        plan = self.results.plan
        for method in self.methods:
            own = plan.methods[method].compare_to
            others = list(plan.compare_to if own is None else own)
            if method in others:  # a pair is shown once
                others = others[: others.index(method)]
            yield from ((method, o) for o in others if o in self.methods)

    @cached_property
    def published(self) -> dict[tuple[str, str], Published]:
        """Published numbers by method and column.

        For ``'target video'`` those of a branch, averaged over the targets.
        """
        wanted = self.results.plan.published
        if not wanted:
            return {}
        split, _, branch = self.metric.partition(' ')
        places = {AVERAGE: branch} if branch else {c: c for c in self.columns}
        found = {
            (method, column): find_published(
                wanted, method, self.modalities, split, place
            )
            for method in self.methods
            for column, place in places.items()
        }
        return {key: value for key, value in found.items() if value}


def paired_difference(
    values: pd.Series, reference: pd.Series, confidence: float = CONFIDENCE
) -> dict[str, float]:
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
        ``mean`` of ``values - reference`` over the common seeds, ``low`` and
        ``high`` (NaN for one pair), and ``n``; empty without a common seed.

    Example:
        >>> found = paired_difference(
        ...     pd.Series({0: 3.0, 1: 5.0}), pd.Series({0: 2.0, 1: 2.0}))
        >>> found['mean'], round(found['low'], 2), round(found['high'], 2)
        (2.0, -10.71, 14.71)
    """
    pairs = (values - reference).dropna()
    if not len(pairs):
        return {}
    mean, n = float(pairs.mean()), len(pairs)
    # Not SciPy's interval, which is NaN where all differences are equal.
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * pairs.sem())
    return {'mean': mean, 'low': mean - half, 'high': mean + half, 'n': n}


def tables(results: Results) -> list[Table]:
    """Compute a table per modality set and metric that has numbers.

    Args:
        results: What was measured.
    """
    plan, reported = results.plan, results.reported()
    # AUROC, for one, has no value for a model that is always right.
    reported = reported[np.isfinite(reported['value'])]
    # A chosen trial has a seed of its own on each target.
    place = reported['seed'].where(reported['role'] != 'winner', _WINNER)
    reported = reported.assign(place=place)
    found = []
    for modalities, (heading, key) in product(
        plan.modalities, plan.metrics.items()
    ):
        chosen = reported[
            (reported['modalities'] == modalities)
            & (reported['metric'] == key)
        ]
        if len(chosen):
            wide = [_wide(chosen, run, plan.targets) for run in _RUNS]
            found.append(Table(results, heading, modalities, *wide))
    return found


def _wide(
    chosen: pd.DataFrame, run: str, targets: Iterable[str]
) -> pd.DataFrame:
    wide = chosen.pivot_table(
        index=['method', run], columns='target', values='value', sort=False
    ).reindex(columns=list(targets))
    if len(wide.columns) > 1:
        # An average over some targets only would not compare with others.
        wide[AVERAGE] = wide.mean(axis=1, skipna=False)
    return (100 * wide).rename_axis(columns='column')


def ratio_table(results: Results) -> pd.DataFrame:
    """Summarise the last epoch's ratios over targets and seeds.

    The columns are ``mean``, ``std`` and ``n``; the rows are methods with
    their modality set and names of ratios, the semantic ones first.
    """
    found = results.reported()
    found = found[found['metric'].str.endswith(LAST_EPOCH)]
    names = found['metric'].str.removesuffix(LAST_EPOCH).rename('ratio')
    methods = (found['method'] + ' ' + found['modalities']).str.strip()
    groups = found['value'].groupby(
        [methods.rename('method'), names], sort=False
    )
    summary = groups.agg(mean='mean', std='std', n='count')
    order = summary.index.get_level_values(1).str.startswith('domain')
    return summary.iloc[np.argsort(order, kind='stable')]


def oracle(results: Results) -> dict[str, dict[str, float]]:
    """Compare the selected trial with the best one on the target.

    In percent, averaged over the targets, by method that is complete; only of
    a search that asks for it.
    """
    plan = results.plan
    if plan.search is None or not plan.search.oracle:
        return {}
    key = next((k for k in plan.metrics.values() if k.startswith('test/')), '')
    long = results.long()
    trials = long[
        (long['metric'] == key) & long['role'].isin(['trial', 'winner'])
    ]
    groups = ['method', 'modalities', 'target']
    best = trials.groupby(groups, sort=False)['value'].max()
    winners = trials[trials['role'] == 'winner'].set_index(groups)['value']
    both = pd.DataFrame(
        {'selected': winners.reindex(best.index), 'best_on_target': best}
    )
    means = both.groupby(level='method', sort=False).agg(
        lambda values: 100 * values.mean(skipna=False)
    )
    found: dict[str, dict[str, float]] = means.dropna().to_dict('index')
    return found


def sweep_means(
    results: Results, method: str, grid: Mapping[str, list[Any]]
) -> pd.Series:
    """Average the first metric over targets and seeds by swept setting.

    In percent, by the text of the settings; NaN until all runs of a setting
    are done.
    """
    key = next(iter(results.plan.metrics.values()))
    cells = results.cells[results.cells['method'] == method]
    values = results.numbers[results.numbers['metric'] == key]
    found = cells.join(values.set_index('cell')['value'])
    means = found.groupby('settings')['value'].agg(
        lambda values: 100 * values.mean(skipna=False)
    )
    return means.reindex(
        [
            ' '.join(f'{k}={v}' for k, v in zip(grid, values, strict=True))
            for values in product(*grid.values())
        ]
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame, index included, with None for NaN."""
    flat = frame.reset_index().astype(object)
    found: list[dict[str, Any]] = flat.where(flat.notna(), None).to_dict(
        'records'
    )
    return found
