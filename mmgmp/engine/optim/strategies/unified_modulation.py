"""Unified modulation, the ablation of IGDM."""

from __future__ import annotations

import torch

from mmgmp.engine.optim.strategies.base import Modulation
from mmgmp.engine.optim.strategies.decoupled_modulation import check_strength
from mmgmp.engine.optim.strategies.ratios import suppression
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, Coefficients, Task
from mmgmp.utils.checks import check_choice

_SOURCES = ('semantic', 'domain', 'mean', 'product')


@MODULATIONS.register_module()
class UnifiedModulation(Modulation):
    """Scale both task gradients of an encoder by one coefficient.

    Shows whether decoupling matters: with the default source it is the
    conventional, classification-only balancing.

    Args:
        alpha_k: Strength of the semantic coefficient k, >= 0.
        source: ``'semantic'`` uses k, ``'domain'`` uses p, ``'mean'`` their
            mean, ``'product'`` their product.
        alpha_p: Strength of p, >= 0, for the sources that read it.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If a strength is negative or the source is unknown.

    Example:
        >>> rho, sigma = torch.tensor([2., 0.5]), torch.tensor([0.5, 2.])
        >>> signals = BatchSignals(('video', 'audio'), rho, sigma)
        >>> UnifiedModulation().coefficients(signals).domain
        tensor([0.2384, 1.0000])

    Source: GMP (arXiv 2603.14175), Table 4, row "Unified Modulation"; the
    formula is [inferred], the paper only names it.
    """

    required_confidences = frozenset({Task.CLASSIFICATION})
    shared_tasks = frozenset({Task.CLASSIFICATION, Task.DOMAIN})

    def __init__(
        self,
        alpha_k: float = 0.5,
        source: str = 'semantic',
        alpha_p: float = 0.5,
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        check_strength('alpha_k', alpha_k)
        check_strength('alpha_p', alpha_p)
        check_choice(
            'source', source, _SOURCES, 'set optim_wrapper.modulation.source'
        )
        self.alpha_k = alpha_k
        self.alpha_p = alpha_p
        self.source = source

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return one factor for both tasks; see the class."""
        k = suppression(signals.semantic_ratio, self.alpha_k)
        p = suppression(signals.domain_ratio, self.alpha_p)
        if self.source == 'semantic':
            factor = k
        elif self.source == 'domain':
            factor = p
        elif self.source == 'mean':
            factor = (k + p) / 2
        else:
            factor = k * p
        return Coefficients(factor, factor, torch.ones_like(factor))
