"""What the axes of a figure show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from mmgmp.utils import log_names

History = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class Panel:
    """What one pair of axes shows.

    Args:
        quantity: What is logged; one curve for each modality.
        title: Text above the axes.
        ylabel: Quantity on the vertical axis.
        target: Value of a grey line, or ``None``.
        limits: Range of the vertical axis, or ``None`` to fit the data.
        raw: Whether the unsmoothed values of a single run are drawn, too.
        names: Names of its curves, where these are not of modalities.
    """

    quantity: str
    title: str
    ylabel: str
    target: float | None = None
    limits: tuple[float, float] | None = None
    raw: bool = True
    names: tuple[str, ...] = ()

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
        labels = {
            name: name
            if name in self.names
            else log_names.modality_of(name, self.quantity)
            for name in history
        }
        return {
            label.replace('_', ' '): name
            for name, label in labels.items()
            if label
        }


RATIO_PANELS = (
    Panel(
        log_names.SEMANTIC_RATIO,
        'Semantic discrepancy ratio',
        r'$\rho$',
        target=1,
    ),
    Panel(
        log_names.DOMAIN_RATIO,
        'Domain discrepancy ratio',
        r'$\sigma$',
        target=1,
    ),
)
TRAINING_PANELS = (
    *RATIO_PANELS,
    Panel(
        log_names.SEMANTIC_COEFFICIENT,
        'Semantic coefficient',
        'k',
        target=1,
    ),
    Panel(
        log_names.DOMAIN_COEFFICIENT,
        'Domain coefficient',
        'p',
        target=1,
    ),
    Panel(
        log_names.grad_norm('classification'),
        'Norm of the classification gradient',
        r'$\|g_c\|$',
    ),
    Panel(
        log_names.grad_norm('domain'),
        'Norm of the domain gradient',
        r'$\|g_d\|$',
    ),
    Panel(
        log_names.EFFECTIVE_LAMBDA,
        'Effective lambda',
        r'$\|p\,g_d\| / \|k\,g_c\|$',
    ),
    Panel(
        log_names.UPDATE_SCALE,
        "Scale of the encoder's step",
        's',
        target=1,
    ),
    Panel(
        log_names.CONFLICT,
        'Conflicting gradients',
        'share of steps',
        limits=(-0.03, 1.03),
        raw=False,
    ),
    Panel(
        log_names.COSINE,
        'Cosine of the task gradients',
        'cosine',
        target=0,
        limits=(-1.05, 1.05),
    ),
    Panel(
        '',
        'Domain discriminator',
        'accuracy',
        limits=(-0.03, 1.03),
        names=(log_names.DOMAIN_ACCURACY, log_names.DOMAIN_CHANCE),
    ),
)
