"""The projection of BALGRAD."""

from __future__ import annotations

from mmgmp.engine.optim.strategies.task_projection import TaskProjection
from mmgmp.registry import PROJECTIONS
from mmgmp.structures import Task


@PROJECTIONS.register_module()
class BalGradProjection(TaskProjection):
    """Remove from the fused gradient what opposes the alignment gradient.

    Where the gradient g_T of the fused classification loss and the gradient
    g_kl of the alignment losses conflict, g_T loses its component along g_kl;
    all other gradients, g_d among them, are added untouched. The losses are
    those of the method ``BalGradMethod``.

    Args:
        scope: ``'global'`` takes inner products over all encoders together,
            because the source combines the alignment gradients of both
            modalities before projecting [inferred]; ``'modality'`` over each
            encoder by itself.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If the scope is unknown or the window is empty.

    Example:
        >>> import torch
        >>> from mmgmp.structures import (
        ...     BatchSignals, Coefficients, GradientProducts)
        >>> one = torch.ones(1)
        >>> factors, _ = BalGradProjection().project(
        ...     GradientProducts(one, 2 * one, -one),
        ...     Coefficients(one, one, one),
        ...     BatchSignals(('video',), one, one))
        >>> factors.of(Task.CLASSIFICATION), factors.of(Task.ALIGNMENT)
        (tensor([1.]), tensor([1.5000]))

    Source: See-Saw Modality Balance: See Gradient, and Sew Impaired
    Vision-Language Balance to Mitigate Dominant Modality Bias, Kwon et al.,
    NAACL 2025 (arXiv 2503.13834). What is projected on what is established;
    the losses behind the two gradients are partly [inferred], see
    ``BalGradMethod``.
    """

    pair = (Task.CLASSIFICATION, Task.ALIGNMENT)
    required_tasks = frozenset({Task.ALIGNMENT})

    def __init__(
        self,
        scope: str = 'global',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__('fixed_class', scope, start_epoch, end_epoch)
