"""MMPareto: fused and unimodal losses without conflict."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies import gramian_rules as rules
from mmgmp.engine.optim.strategies.base import Projection
from mmgmp.registry import PROJECTIONS
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
)

_TINY = torch.finfo(torch.float32).tiny
#: Squared length of a mixture that counts as zero beside the gradients'.
_NOTHING = 1e-12


@PROJECTIONS.register_module()
class ParetoProjection(Projection):
    """Add fused and unimodal gradients; mix them where they conflict.

    For each encoder, two gradients that agree are added. Where they do not,
    their mixture of least norm is taken, which opposes neither, and made as
    long as the sum would be. In both cases the result is lengthened by
    ``gamma``. Heads, fusion and all other tasks keep their gradients.

    The unimodal losses are those of ``UnimodalHeadsMethod``. The paper has no
    modulation; one would act before, as with CAGP.

    Args:
        gamma: Factor of the result, > 0 [release].
        max_rescale: Largest factor by which a mixture is made longer, >= 1;
            it is unbounded as the two become opposite. None leaves it so, as
            the authors do [choice].
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open. Outside,
            the two are added, without gamma.

    Raises:
        ValueError: If an option is out of range or the window is empty.

    Example:
        >>> one = torch.ones(1)
        >>> factors, _ = ParetoProjection().project(
        ...     GradientProducts(one, 2 * one, -one),
        ...     Coefficients(one, one, one),
        ...     BatchSignals(('video',), one, one))
        >>> factors.of(Task.CLASSIFICATION), factors.of(Task.UNIMODAL)
        (tensor([2.0125]), tensor([1.3416]))

    Source: MMPareto, Wei and Hu, ICML 2024 (arXiv 2405.17730). [choice] the
    lengthening is of a whole encoder; the authors' is of each tensor. Weights
    of the mixture are exactly 0 or 1 at its ends, not 0.001 or 0.999.
    """

    pair = (Task.CLASSIFICATION, Task.UNIMODAL)
    required_tasks = frozenset({Task.UNIMODAL})

    def __init__(
        self,
        gamma: float = 1.5,
        max_rescale: float | None = 10.0,
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        if not gamma > 0 or not (max_rescale is None or max_rescale >= 1):
            raise ValueError(
                'gamma must be > 0 and max_rescale >= 1 or None, got '
                f'{gamma} and {max_rescale}; set optim_wrapper.projection'
            )
        self.gamma = gamma
        self.max_rescale = max_rescale

    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Return the factors after projection; see the base class."""
        del signals
        first, second = self.pair
        k, p, products = self.modulated(products, coefficients)
        a, b, d = products.classification, products.domain, products.cross
        lost = 0 * (a + b + d)
        absent = (a < _TINY) | (b < _TINY)
        # By the larger one, so that no product of two overflows.
        unit = torch.maximum(a, b).clamp(min=_TINY)
        u, v = self._mixture(a / unit, b / unit, d / unit)
        one = torch.ones_like(a)
        u, v = (
            self.gamma * torch.where(absent, one, x) + lost for x in (u, v)
        )
        return coefficients.replace({first: k * u, second: p * v}), d < 0

    def _mixture(self, a: Tensor, b: Tensor, d: Tensor) -> rules.Factors:
        """Twice the mixture, at least as long as the sum."""
        u, v = rules.mgda(a, b, d)
        square = 4 * (u * u * a + 2 * u * v * d + v * v * b)
        is_nothing = square <= _NOTHING * (a + b)
        longer = (a + b + 2 * d).clamp(min=0) / square.masked_fill(
            is_nothing, 1
        )
        rescale = longer.sqrt().clamp(min=1, max=self.max_rescale)
        rescale = torch.where(is_nothing, torch.ones_like(a), rescale)
        agree = d > 0
        return (
            torch.where(agree, torch.ones_like(a), 2 * rescale * u),
            torch.where(agree, torch.ones_like(a), 2 * rescale * v),
        )
