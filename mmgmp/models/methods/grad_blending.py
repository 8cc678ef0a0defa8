"""Grad-Blending: one loss per head, weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task

_FUSED = 'fused'


@MODELS.register_module()
class GradBlendingMethod(BaseMethod):
    """Replace the classification loss by a blend over the heads.

    The fused classifier and one classifier per modality on its own feature
    each have a cross-entropy; their weights sum to 1, so the classification
    task keeps its scale beside the domain loss. Prediction uses the fused
    head.

    With ``weights`` this is the offline mode: fixed weights, computed with
    :func:`mmgmp.engine.optim.strategies.blending_weights.blending_weights`
    from losses of separately trained networks. Without, add
    ``GradBlendingHook`` to ``default_hooks``, which renews them every
    super-epoch; until its first renewal they are equal.

    The losses are plain cross-entropies; label smoothing of the classifier
    has no part in them.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weights: Weight of ``'fused'`` and of every modality, >= 0; they are
            normalised to sum 1. None starts with equal ones.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If the weights do not name the heads or are negative.

    Example:
        >>> method = GradBlendingMethod(
        ...     {'video': 8, 'audio': 4}, 3,
        ...     weights=dict(fused=2, video=1, audio=1))
        >>> method.weights
        tensor([0.5000, 0.2500, 0.2500])

    Source: What Makes Training Multi-Modal Classification Networks Hard?,
    Wang, Tran and Feiszli, CVPR 2020 (arXiv 1905.12681).
    """

    needs_unimodal_heads = True
    replaces_cls_loss = True
    weights: Tensor
    boundary_losses: Tensor
    num_boundaries: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weights: Mapping[str, float] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        self.heads = (_FUSED, *self.in_channels)
        values = self._read_weights(weights)
        self.register_buffer('weights', values / values.sum())
        self.register_buffer(
            'boundary_losses', torch.zeros(2, len(values), dtype=torch.double)
        )
        self.register_buffer(
            'num_boundaries', torch.zeros((), dtype=torch.int)
        )
        # Not a buffer: each rank has its own, and an epoch starts anew.
        self._sums: Tensor | None = None

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted losses of all heads; see the base class."""
        logits = {_FUSED: batch.logits, **batch.unimodal_logits}
        losses = torch.stack(
            [F.cross_entropy(logits[h], batch.labels) for h in self.heads]
        )
        self._measure(losses.detach(), len(batch.labels))
        weighted = self.weights.to(losses) * losses
        return {
            Task.CLASSIFICATION: dict(zip(self.heads, weighted, strict=True))
        }

    def start_measuring(self) -> None:
        """Forget the losses summed so far."""
        self._sums = None

    def measured(self) -> Tensor:
        """Return summed losses, then the number of samples, ``(H + 1,)``.

        The tensor itself, not a copy: what is written to it counts.
        """
        if self._sums is None:
            self._sums = self.boundary_losses.new_zeros(len(self.heads) + 1)
        return self._sums

    def _measure(self, losses: Tensor, count: int) -> None:
        sums = torch.cat([losses, losses.new_ones(1)]).double() * count
        # A loss scaler skips the step of a batch that overflows; its losses
        # must not spoil the means of the whole epoch.
        sums = torch.where(losses.isfinite().all(), sums, 0)
        self._sums = self.measured() + sums

    def _read_weights(self, weights: Mapping[str, float] | None) -> Tensor:
        if weights is None:
            return torch.ones(len(self.heads))
        values = [weights.get(head, -1.0) for head in self.heads]
        if (
            set(weights) != set(self.heads)
            or min(values) < 0
            or sum(values) == 0
        ):
            raise ValueError(
                'weights must give a number >= 0, not all 0, for each of '
                f'{list(self.heads)}, got {dict(weights)}; set weights of '
                'GradBlendingMethod in model.methods'
            )
        return torch.tensor(values, dtype=torch.float32)
