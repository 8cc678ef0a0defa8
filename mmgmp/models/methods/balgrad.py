"""The losses of BALGRAD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice

_WEIGHTINGS = ('loss', 'uniform')


@MODELS.register_module()
class BalGradMethod(BaseMethod):
    """Unimodal losses, and a divergence that lets the lagging modality move.

    Beside the fused loss, each modality m has its own prediction p^m with
    cross-entropy L^m (task ``extra``) and a divergence from what the other
    modality predicts, ``KL(stopgrad(p^other) || p^m)`` (task ``align``),
    weighted by ``w^m = L^m / sum L``: the larger its loss, the stronger the
    pull. ``BalGradProjection`` then removes from the fused gradient what
    opposes the gradient of the divergences. ``g_d`` is added untouched.

    Established by the source are the three predictions, the three kinds of
    gradients and the projection. The formula of the weights, the direction
    of the divergence, that its target is detached, and the weights of the
    auxiliary losses are [inferred].

    The losses behind the weights are averaged over ranks. With gradient
    accumulation each micro-batch has its own weights [choice], because the
    heads' gradients depend on them too; the projection acts once per step.

    Args:
        in_channels: Feature width D_m of exactly two modalities.
        num_classes: Number of classes K.
        beta: Weight of the divergences, >= 0 [choice].
        gamma_u: Weight of the unimodal losses, >= 0 [choice].
        weighting: ``'loss'``, or ``'uniform'`` for ``w = 1/2``.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there are not two modalities, a weight is negative or
            the weighting is unknown.

    Source: See-Saw Modality Balance, Kwon et al., NAACL 2025 (arXiv
    2503.13834).
    """

    needs_unimodal_heads = True

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        beta: float = 1.0,
        gamma_u: float = 1.0,
        weighting: str = 'loss',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        if len(self.in_channels) != 2:
            raise ValueError(
                'BalGradMethod is defined for exactly two modalities, got '
                f'{list(self.in_channels)}; change model.encoders or drop '
                'the method from model.methods'
            )
        if beta < 0 or gamma_u < 0:
            raise ValueError(
                f'beta and gamma_u must be >= 0, got {beta} and {gamma_u}; '
                'set them in BalGradMethod in model.methods'
            )
        check_choice(
            'weighting',
            weighting,
            _WEIGHTINGS,
            'set weighting of BalGradMethod',
        )
        self.beta = beta
        self.gamma_u = gamma_u
        self.weighting = weighting

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return unimodal and alignment losses; see the base class."""
        logits = batch.unimodal_logits
        first, second = batch.modalities
        losses = {m: F.cross_entropy(logits[m], batch.labels) for m in logits}
        weights = self.learning_state(
            torch.stack([losses[first], losses[second]]).detach(),
            len(batch.labels),
        )
        divergences = {
            m: weight * divergence(logits[other], logits[m])
            for weight, m, other in (
                (weights[0], first, second),
                (weights[1], second, first),
            )
        }
        return {
            Task.EXTRA: {
                f'unimodal_{m}': self.gamma_u * loss
                for m, loss in losses.items()
            },
            Task.ALIGNMENT: {
                f'kl_{m}': self.beta * value
                for m, value in divergences.items()
            },
        }

    def learning_state(self, losses: Tensor, count: int) -> Tensor:
        """Return the weight of each modality's divergence.

        Args:
            losses: Detached mean losses L^m on this rank, ``(2,)``.
            count: Samples on this rank.

        Returns:
            Tensor of shape ``(2,)`` with sum 1, equal on all ranks.
        """
        if self.weighting == 'uniform':
            return torch.full_like(losses, 0.5)
        sums = losses * count
        # A collective within the forward pass: every rank has this method
        # and comes by here, also with a batch of another size.
        if self.training and get_world_size() > 1:
            all_reduce(sums)
        return sums / sums.sum().clamp(min=torch.finfo(sums.dtype).tiny)


def divergence(target: Tensor, logits: Tensor) -> Tensor:
    """Mean of ``KL(softmax(target) || softmax(logits))``, 0-dim.

    Args:
        target: Logits ``(N, K)`` of the other modality; not differentiated.
        logits: Logits ``(N, K)`` that are pulled.

    Example:
        >>> divergence(
        ...     torch.tensor([[0.8, 0.2]]).log(), torch.zeros(1, 2))
        tensor(0.1927)
    """
    return F.kl_div(
        logits.log_softmax(1),
        target.detach().log_softmax(1),
        reduction='batchmean',
        log_target=True,
    )
