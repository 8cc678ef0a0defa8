"""Conflict-adaptive gradient projection (CAGP) and its ablations."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import Projection
from mmgmp.registry import PROJECTIONS
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
)
from mmgmp.utils.checks import check_choice

_RULES = ('cagp', 'fixed_class', 'fixed_domain', 'pcgrad', 'reverse')
_SCOPES = ('modality', 'global')
_TINY = torch.finfo(torch.float32).tiny


@PROJECTIONS.register_module()
class TaskProjection(Projection):
    """Project one task gradient off the other where the two conflict.

    Under conflict (negative inner product of the modulated gradients) the
    chosen task loses its component along the other one, which is kept whole.
    Everything folds into two factors per encoder,
    ``G = w_c g_c + w_d g_d``, so the gradients are read once for three inner
    products and written once.

    Args:
        rule: Which task is projected.

            - ``'cagp'``: the stronger one, classification where
              ``rho >= sigma`` (the tie is [choice]), else domain.
            - ``'reverse'``: the weaker one.
            - ``'fixed_class'`` / ``'fixed_domain'``: always the same.
            - ``'pcgrad'``: both, each off the other's original.
        scope: ``'modality'`` tests and projects each encoder by itself, as
            the paper does. ``'global'`` takes inner products over all
            encoders together; which task is projected still follows each
            encoder's own ratios [choice].
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If rule or scope is unknown or the window is empty.

    Example:
        >>> one = torch.ones(1)
        >>> signals = BatchSignals(('video',), 2 * one, 0.5 * one)
        >>> products = GradientProducts(one, 2 * one, -one)
        >>> raw = Coefficients(one, one, one)
        >>> factors, conflict = TaskProjection().project(
        ...     products, raw, signals)
        >>> factors.classification, factors.domain, conflict
        (tensor([1.]), tensor([1.5000]), tensor([True]))

    Source: GMP (arXiv 2603.14175), Eq. (12)-(15) and Table 4; ``'pcgrad'``
    is Yu et al., NeurIPS 2020 (arXiv 2001.06782) for two tasks.
    """

    def __init__(
        self,
        rule: str = 'cagp',
        scope: str = 'modality',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        for name, value, known in (
            ('rule', rule, _RULES),
            ('scope', scope, _SCOPES),
        ):
            check_choice(
                name, value, known, f'set optim_wrapper.projection.{name}'
            )
        self.rule = rule
        self.scope = scope
        if rule in ('cagp', 'reverse'):
            self.required_confidences = frozenset({Task.CLASSIFICATION})

    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Return the factors after projection; see the base class."""
        first, second = self.pair
        k, p, products = self.modulated(
            products, coefficients, self.scope == 'global'
        )
        cross = products.cross
        # No epsilon: it would break the invariance to loss scaling. A
        # protected gradient whose square underflows is left alone instead.
        class_square, domain_square = products.classification, products.domain
        conflict = cross < 0
        on_class, on_domain = self._projected(signals)
        off_domain = cross / domain_square.clamp(min=_TINY)
        off_class = cross / class_square.clamp(min=_TINY)
        zero = torch.zeros_like(k)
        # Eq. (12)-(15) as factors of the raw gradients: taking its component
        # along p g_d out of k g_c adds -p (cross / |p g_d|^2) to w_d, and the
        # other way round.
        w_c = k - k * torch.where(
            conflict & on_domain & (class_square >= _TINY), off_class, zero
        )
        w_d = p - p * torch.where(
            conflict & on_class & (domain_square >= _TINY), off_domain, zero
        )
        return coefficients.replace({first: w_c, second: w_d}), conflict

    def _projected(self, signals: BatchSignals) -> tuple[Tensor, Tensor]:
        """Return where classification and where domain is projected."""
        stronger = signals.semantic_ratio >= signals.domain_ratio
        always = torch.ones_like(stronger)
        return {
            'cagp': (stronger, ~stronger),
            'reverse': (~stronger, stronger),
            'fixed_class': (always, ~always),
            'fixed_domain': (~always, always),
            'pcgrad': (always, always),
        }[self.rule]
