"""AGM at the logits, its exact form for any head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.contributions import JointHead, ShapleyContribution
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.activity import ActivityWindow, current_epoch
from mmgmp.utils.ratios import adaptive_gains


@MODELS.register_module()
class AGMLogitsMethod(BaseMethod):
    """Scale the gradient that enters each modality's share of the logits.

    The logits are written as the sum of the modalities' Shapley shares, and
    the gradient that enters share m is multiplied by kappa of
    ``AGMModulation``, as the authors do. The encoders, the fusion and the
    classifier all see it. Replaces the fused cross-entropy; use it without a
    modulation. For a linear head on concatenated features its encoder
    gradients are those of ``AGMModulation(apply_to='cls')``.

    The shares are evaluated with the heads in training mode, dropout included
    [choice]. Scores are averaged over ranks. With gradient accumulation each
    micro-batch counts as a step, because kappa is needed for its loss.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        alpha: Strength, >= 0.
        cap: Largest exponent before alpha.
        baseline: Whether what the head says about no modality is left out of
            the scores, as in the Shapley value; False is the authors'.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If alpha is negative or the window is empty.

    Source: Adaptive gradient modulation, Li et al., ICCV 2023 (arXiv
    2308.07686), released code.
    """

    replaces_cls_loss = True
    running_scores: Tensor
    num_updates: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        alpha: float = 1.0,
        cap: float = 10.0,
        baseline: bool = True,
        start_epoch: int = 0,
        end_epoch: int | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        if alpha < 0:
            raise ValueError(
                f'alpha must be >= 0, got {alpha}; set alpha of '
                'AGMLogitsMethod in model.methods'
            )
        self.alpha = alpha
        self.cap = cap
        self.baseline = baseline
        self.active_epochs = ActivityWindow(
            start_epoch,
            end_epoch,
            'set them in AGMLogitsMethod in model.methods',
        )
        count = len(self.in_channels)
        self.register_buffer(
            'running_scores', torch.zeros(count, dtype=torch.double)
        )
        self.register_buffer('num_updates', torch.zeros((), dtype=torch.int))

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the cross-entropy of the shares' sum; see the base class."""
        shares = ShapleyContribution(baseline=False)(
            JointHead(batch.classify, batch.logits.new_zeros(())),
            batch.features,
        )
        stacked = torch.stack(list(shares.values()))
        if self.training:
            gains = self._gains(self._scores(stacked.detach(), batch))
            gains = gains.to(stacked)[:, None, None]
            # The value stays; only what flows back is multiplied.
            fixed = stacked.detach()
            stacked = fixed + gains * (stacked - fixed)
        loss = F.cross_entropy(stacked.sum(0), batch.labels)
        return {Task.CLASSIFICATION: {'shares': loss}}

    @torch.no_grad()
    def _scores(self, shares: Tensor, batch: MultiModalBatch) -> Tensor:
        """Mean cross-entropy of each share over all ranks, ``(M,)``."""
        if self.baseline:
            nothing = {
                m: x.new_zeros(1, x.shape[1])
                for m, x in batch.features.items()
            }
            shares = shares - batch.classify(nothing) / len(shares)
        right = shares.softmax(2)[
            :,
            torch.arange(len(batch.labels), device=batch.labels.device),
            batch.labels,
        ]
        sums = -right.double().clamp(min=1e-8).log().sum(1)
        # Filled on the device: a tensor of a list would be copied there.
        packed = torch.cat([sums, sums.new_full((1,), right.shape[1])])
        # A collective within the forward pass, which all ranks make once per
        # micro-batch, before any of the optimizer's.
        if get_world_size() > 1:
            all_reduce(packed)
        return packed[:-1] / packed[-1].clamp(min=1)

    def _gains(self, scores: Tensor) -> Tensor:
        """Return kappa, and add the scores to the running means."""
        gains = adaptive_gains(
            scores, self.running_scores, self.alpha, self.cap
        )
        is_finite = scores.isfinite().all()
        self.num_updates.add_(is_finite.to(self.num_updates))
        step = (scores - self.running_scores) / self.num_updates.clamp(min=1)
        self.running_scores.add_(torch.where(is_finite, step, 0))
        if current_epoch() in self.active_epochs:
            return gains
        return torch.ones_like(gains)
