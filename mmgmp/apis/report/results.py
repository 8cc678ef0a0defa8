"""What the cells of a plan measured, as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mmgmp.apis.benchmark.plan import Plan

DONE, FAILED = 'done', 'failed'
#: Roles of the cells that are in the tables.
REPORTED = ('run', 'winner', 'rerun')
#: Ends the name of a discrepancy ratio among the metrics.
LAST_EPOCH = ', last epoch'


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Args:
        plan: The plan.
        cells: One row per cell that can be named by now: ``method``,
            ``modalities``, ``target``, ``seed``, ``role``, ``settings``,
            ``state``, ``config``, ``averaged`` (which average of the weights
            is tested), ``trained_on_target`` (targets that went into the
            weights), ``in_domain`` (whether no domain is unseen) and
            ``failure``; ``''`` if there is none.
        numbers: Long form, one row per number: the number of the ``cell``,
            ``metric`` (``<evaluation>/<metric>``, or the name of a
            discrepancy ratio) and ``value`` (accuracies in [0, 1]).
        facts: Date, clips, machine and software of each trained cell.
        histories: Ratios step by step of the runs with the first seed.
        remarks: What else must be said of single cells.
    """

    plan: Plan
    cells: pd.DataFrame
    numbers: pd.DataFrame
    facts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    histories: Mapping[int, Mapping[str, NDArray[np.float64]]] = field(
        default_factory=dict
    )
    remarks: Sequence[str] = ()

    @property
    def num_done(self) -> int:
        """Number of complete cells."""
        return int((self.cells['state'] == DONE).sum())

    @property
    def corpus(self) -> str:
        """Name of the corpus, which says whether it is rendered."""
        kind = ' (SYNTHETIC)' if self.plan.synthetic else ''
        return self.plan.corpus + kind

    @property
    def averaged(self) -> dict[str, str]:
        """Which averages of the weights are tested, by averaged method."""
        found = self.cells[self.cells['averaged'] != '']
        return {
            str(name): '; '.join(dict.fromkeys(group))
            for name, group in found.groupby('method', sort=False)['averaged']
        }

    @property
    def oracles(self) -> list[str]:
        """Methods that are trained on the target as well."""
        found = self.cells[self.cells['trained_on_target'] != '']
        return [str(name) for name in found['method'].unique()]

    @property
    def in_domain(self) -> list[str]:
        """Methods that are tested on the domains they are trained on."""
        found = self.cells[self.cells['in_domain']]
        return [str(name) for name in found['method'].unique()]

    def long(self) -> pd.DataFrame:
        """Return the numbers with what is known of their cells."""
        return self.numbers.join(self.cells, on='cell')

    def reported(self) -> pd.DataFrame:
        """Return the numbers that tables are made of."""
        long = self.long()
        return long[long['role'].isin(REPORTED)]
