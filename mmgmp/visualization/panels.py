"""What the axes of a figure show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from numpy.typing import ArrayLike

from mmgmp.utils import log_names

History = Mapping[str, ArrayLike]

_SHARE = (-0.03, 1.03)
_NO_DOMAIN = 'no domain task'
_NOT_SPLIT = 'gradient not split by task'
_NO_MODULATION = 'no modulation'


@dataclass(frozen=True)
class Panel:
    """What one pair of axes shows.

    Args:
        quantity: What is logged; one curve for each modality. ``''`` for
            none.
        title: Text above the axes.
        ylabel: Quantity on the vertical axis; ``{window}`` in it stands for
            the number of steps in the mean.
        target: Value of a grey line, or ``None``.
        limits: Range of the vertical axis, or ``None`` to fit the data.
        raw: Whether the unsmoothed values of a single run are drawn, too.
        names: Labels of further curves, by their names.
        losses: Whether every loss has a curve.
        own: Whether the labels stand for this panel alone; else a label has
            one look in the whole figure, as a modality has.
        dots: Whether there are few values, each drawn as it is.
        share: Part of the training that the mean runs over.
        of_domain: Whether it is of the domain task.
        absent: Why a run is missing here, unless it has no domain task.
    """

    quantity: str
    title: str
    ylabel: str
    target: float | None = None
    limits: tuple[float, float] | None = None
    raw: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    losses: bool = False
    own: bool = False
    dots: bool = False
    share: float = 0.02
    of_domain: bool = False
    absent: str = 'not recorded'

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
        labels = {name: self._label(name) for name in history}
        return {
            label.replace('_', ' '): name
            for name, label in labels.items()
            if label
        }

    def _label(self, name: str) -> str | None:
        if name in self.names:
            return self.names[name]
        if self.losses:
            return log_names.loss_term_of(name)
        return self.quantity and log_names.modality_of(name, self.quantity)

    def absence(self, history: History) -> str:
        """Say why a run has no curve here, ``''`` if it has one.

        Args:
            history: Arrays by name.

        Example:
            >>> RATIO_PANELS[1].absence({'semantic_ratio_video': [1.0]})
            'no domain task'
        """
        if self.curves(history):
            return ''
        has_domain = any(name.startswith('domain_') for name in history)
        return self.absent if has_domain or not self.of_domain else _NO_DOMAIN


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
        of_domain=True,
    ),
)
TRAINING_PANELS = (
    Panel('', 'Losses', 'loss', losses=True, own=True, raw=False),
    Panel(
        '',
        'Accuracy on training batches',
        'top-1',
        names={log_names.ACCURACY: 'fused'},
        limits=_SHARE,
    ),
    Panel(
        log_names.VALIDATION,
        'Accuracy on source validation',
        'top-1',
        names={log_names.VALIDATION: 'fused'},
        limits=_SHARE,
        dots=True,
    ),
    *RATIO_PANELS,
    Panel(
        log_names.SEMANTIC_COEFFICIENT,
        'Semantic coefficient',
        'k',
        target=1,
        absent=_NO_MODULATION,
    ),
    Panel(
        log_names.DOMAIN_COEFFICIENT,
        'Domain coefficient',
        'p',
        target=1,
        of_domain=True,
        absent=_NO_MODULATION,
    ),
    Panel(
        log_names.grad_norm('classification'),
        'Norm of the classification gradient',
        r'$\|g_c\|$',
        absent=_NOT_SPLIT,
    ),
    Panel(
        log_names.grad_norm('domain'),
        'Norm of the domain gradient',
        r'$\|g_d\|$',
        of_domain=True,
        absent=_NOT_SPLIT,
    ),
    Panel(
        log_names.EFFECTIVE_LAMBDA,
        'Effective lambda',
        r'$\|p\,g_d\| / \|k\,g_c\|$',
        of_domain=True,
        absent=_NOT_SPLIT,
    ),
    Panel(
        log_names.UPDATE_SCALE,
        "Scale of the encoder's step",
        's',
        target=1,
        absent='acts on the gradient',
    ),
    # 0 or 1 in each step, so that only a mean over many of them says much.
    Panel(
        log_names.CONFLICT,
        'Conflict rate',
        'share of the last {window} steps',
        limits=_SHARE,
        raw=False,
        share=0.1,
        of_domain=True,
        absent=_NOT_SPLIT,
    ),
    Panel(
        log_names.COSINE,
        'Cosine of the task gradients',
        'cosine',
        target=0,
        of_domain=True,
        absent=_NOT_SPLIT,
    ),
    Panel(
        '',
        'Domain discriminator',
        'accuracy',
        limits=_SHARE,
        names={
            log_names.DOMAIN_ACCURACY: 'on training batches',
            log_names.DOMAIN_CHANCE: 'chance',
        },
        own=True,
        of_domain=True,
    ),
)
