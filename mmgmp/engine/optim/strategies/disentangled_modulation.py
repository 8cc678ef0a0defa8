"""DGL: encoders learn from their own losses, the classifier from the fused."""

from __future__ import annotations

import torch

from mmgmp.engine.optim.strategies.base import Modulation
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, Coefficients, Task


@MODULATIONS.register_module()
class DisentangledModulation(Modulation):
    """Keep the fused loss from the encoders.

    Fused, it arrives at an encoder weakened by what the other modalities
    already explain. So encoders get the gradient of their unimodal losses,
    and fusion and classifier that of the fused loss. The domain loss is kept
    whole; the source has none [choice].

    The unimodal losses are those of ``SharedHeadUnimodalMethod``, which takes
    the fused classifier for them, or of ``UnimodalHeadsMethod`` with heads of
    their own.

    **Every classification term is cut**, also one of a method on fused or
    contrasted features: tag what is to reach the encoders as extra
    (``tasks=dict(contrast='extra')`` of SimMMDG).

    Args:
        alpha: Factor of the unimodal gradients, > 0; 4 or 5 in the authors'
            scripts, with SGD. Under Adam it only weighs them against the
            domain loss, and 1 is the default [choice].
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If alpha is not positive or the window is empty.

    Example:
        >>> one = torch.ones(1)
        >>> factors = DisentangledModulation(alpha=4.0).coefficients(
        ...     BatchSignals(('video',), one, one))
        >>> factors.of(Task.CLASSIFICATION), factors.of(Task.UNIMODAL)
        (tensor([0.]), tensor([4.]))

    Source: DGL, Wei et al., ICCV 2025 (arXiv 2507.10213).
    """

    required_tasks = frozenset({Task.UNIMODAL})
    dropped_tasks = frozenset({Task.CLASSIFICATION})

    def __init__(
        self,
        alpha: float = 1.0,
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        if not alpha > 0:
            raise ValueError(
                f'alpha of DisentangledModulation must be > 0, got {alpha}; '
                'set optim_wrapper.modulation.alpha'
            )
        self.alpha = alpha

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return 0 for the fused loss and alpha for the unimodal ones."""
        ones = torch.ones_like(signals.semantic_ratio)
        return Coefficients(
            classification=torch.zeros_like(ones),
            domain=ones,
            extra=ones,
            unimodal=self.alpha * ones,
        )
