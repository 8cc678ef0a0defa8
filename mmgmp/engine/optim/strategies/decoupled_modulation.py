"""Inter-modality gradient decoupled modulation (IGDM)."""

from __future__ import annotations

import torch

from mmgmp.engine.optim.strategies.base import Modulation
from mmgmp.engine.optim.strategies.ratios import suppression
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, Coefficients, Task


def check_strength(name: str, value: float) -> None:
    """Refuse a negative suppression strength.

    Args:
        name: Name of the argument.
        value: What came.

    Raises:
        ValueError: If ``value`` is negative.
    """
    if value < 0:
        raise ValueError(
            f'{name} must be >= 0, got {value}; set '
            f'optim_wrapper.modulation.{name} (0 turns it off)'
        )


@MODULATIONS.register_module()
class DecoupledModulation(Modulation):
    """Scale classification and domain gradients by separate coefficients.

    A modality that is ahead in classification has its classification gradient
    damped, one that is ahead in domain invariance its domain gradient; the
    other gradient of the same encoder is left alone.

    Args:
        alpha_k: Strength of the semantic coefficient k, >= 0.
        alpha_p: Strength of the domain coefficient p, >= 0.
        use_k: Whether k acts; False is the ablation "w/o k" (k = 1).
        use_p: Whether p acts; False is the ablation "w/o p" (p = 1).
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If a strength is negative or the window is empty.

    Example:
        >>> rho, sigma = torch.tensor([2., 0.5]), torch.tensor([0.5, 2.])
        >>> signals = BatchSignals(('video', 'audio'), rho, sigma)
        >>> factors = DecoupledModulation().coefficients(signals)
        >>> factors.classification, factors.domain
        (tensor([0.2384, 1.0000]), tensor([1.0000, 0.2384]))

    Source: GMP (arXiv 2603.14175), Eq. (9)-(11).
    """

    required_confidences = frozenset({Task.CLASSIFICATION})

    def __init__(
        self,
        alpha_k: float = 0.5,
        alpha_p: float = 0.5,
        use_k: bool = True,
        use_p: bool = True,
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        check_strength('alpha_k', alpha_k)
        check_strength('alpha_p', alpha_p)
        self.alpha_k = alpha_k if use_k else 0.0
        self.alpha_p = alpha_p if use_p else 0.0

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return k, p and ones; see the class."""
        return Coefficients(
            classification=suppression(signals.semantic_ratio, self.alpha_k),
            domain=suppression(signals.domain_ratio, self.alpha_p),
            extra=torch.ones_like(signals.semantic_ratio),
        )
