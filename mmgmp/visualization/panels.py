"""What the axes of a figure show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

History = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class Panel:
    """What one pair of axes shows.

    Args:
        pattern: Matches the names of its curves; group 1 is the label.
        title: Text above the axes.
        ylabel: Quantity on the vertical axis.
        target: Value of a grey line, or ``None``.
        limits: Range of the vertical axis, or ``None`` to fit the data.
        raw: Whether the unsmoothed values of a single run are drawn, too.
    """

    pattern: str
    title: str
    ylabel: str
    target: float | None = None
    limits: tuple[float, float] | None = None
    raw: bool = True

    def curves(self, history: History) -> dict[str, str]:
        """Find the curves of one run.

        Args:
            history: Arrays by name.

        Returns:
            Names in the history by label, in the order given.

        Example:
            >>> RATIO_PANELS[0].curves({'semantic_ratio_video': [1.0]})
            {'video': 'semantic_ratio_video'}
        """
        matches = (re.fullmatch(self.pattern, name) for name in history)
        return {m[1].replace('_', ' '): m[0] for m in matches if m}


RATIO_PANELS = (
    Panel(
        r'semantic_ratio_(.+)',
        'Semantic discrepancy ratio',
        r'$\rho$',
        target=1,
    ),
    Panel(
        r'domain_ratio_(.+)', 'Domain discrepancy ratio', r'$\sigma$', target=1
    ),
)
TRAINING_PANELS = (
    *RATIO_PANELS,
    Panel(
        r'conflict_(.+)',
        'Conflicting gradients',
        'share of steps',
        limits=(-0.03, 1.03),
        raw=False,
    ),
    Panel(
        r'cosine_(.+)',
        'Cosine of the task gradients',
        'cosine',
        target=0,
        limits=(-1.05, 1.05),
    ),
    Panel(
        r'(domain_accuracy|domain_chance)',
        'Domain discriminator',
        'accuracy',
        limits=(-0.03, 1.03),
    ),
)
