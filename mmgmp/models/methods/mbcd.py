"""MBCD: modality-balanced collaborative distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.layers import drop_modalities
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class MBCDMethod(BaseMethod):
    """Averaged teacher, adaptive modality dropout, gradient consistency.

    The fused loss is taken at encoder weights moved one step along each
    unimodal loss, which rewards gradients that agree, with the over-confident
    modality hidden from some samples (term ``fused``; it replaces the fused
    cross-entropy). Unimodal cross-entropies are taken at the weights
    themselves (``unimodal``). The teacher's fused prediction supervises the
    fused and unimodal branches (``distillation_fused``,
    ``distillation_unimodal``). All terms are classification. No domain
    labels are needed.

    Needs ``model.forward_plan=dict(type='InnerStepPlan')`` and
    ``dict(type='TeacherHook', ema_type='ExponentialMovingAverage',
    momentum=0.001)`` in ``default_hooks``; ``FeatureNorm`` in
    ``model.feature_transforms`` is part of the published network. The
    teacher is the model that is tested.

    Args:
        fused_distillation: Weight of the fused distillation.
        unimodal_distillation: Weight of the unimodal distillation.
        floor: Drop probability b of a modality that leads by nothing, in
            [0, 1); the paper has 0.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If the floor is not in [0, 1).

    Example:
        >>> MBCDMethod({'video': 4, 'audio': 2}, num_classes=2).floor
        0.0

    Source: Wang et al., "Modality-Balanced Collaborative Distillation for
    Multi-Modal Domain Generalization", AAAI 2026 (arXiv 2511.20258), Eq.
    (2)-(9). [verified] in the paper and in released code. [choice] Eq. (4)
    is read as "drop with probability p"; the tasks.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'fused': Task.CLASSIFICATION,
        'unimodal': Task.CLASSIFICATION,
        'distillation_fused': Task.CLASSIFICATION,
        'distillation_unimodal': Task.CLASSIFICATION,
    }
    needs_unimodal_heads = True
    replaces_cls_loss = True
    needs_plan = frozenset({'inner_features'})

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        fused_distillation: float = 1.0,
        unimodal_distillation: float = 1.0,
        floor: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        if not 0 <= floor < 1:
            raise ValueError(
                f'floor of MBCDMethod must be in [0, 1), got {floor}; '
                'correct model.methods'
            )
        self.fused_distillation = fused_distillation
        self.unimodal_distillation = unimodal_distillation
        self.floor = floor

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the terms; see the base class."""
        # Eq. (2)-(4): who leads is dropped now and then, in the features at
        # weights moved one step (Eq. 5-6), so that the fused loss reaches
        # the encoders through that step.
        rates = drop_rates(list(batch.unimodal_logits.values()), self.floor)
        left = drop_modalities(batch.inner_features, rates)
        fused = batch.classify(left)
        unimodal = batch.unimodal_logits.values()
        terms = {
            'fused': F.cross_entropy(fused, batch.labels),
            'unimodal': torch.stack(
                [F.cross_entropy(logits, batch.labels) for logits in unimodal]
            ).sum(),
        }
        # Eq. (8); the teacher says nothing before the averaging has begun.
        if 'logits' in batch.teacher:
            target = batch.teacher['logits']
            terms['distillation_fused'] = self.fused_distillation * divergence(
                target, fused
            )
            terms['distillation_unimodal'] = (
                self.unimodal_distillation
                * torch.stack([divergence(target, x) for x in unimodal]).sum()
            )
        return self.tagged(**terms)

    def teach(
        self,
        features: Mapping[str, Tensor],  # noqa: ARG002
        logits: Tensor,
    ) -> dict[str, Tensor]:
        """Return the teacher's fused logits; see ``TeachingMethod``."""
        return {'logits': logits}


def drop_rates(logits: list[Tensor], floor: float = 0.0) -> Tensor:
    """Return how often to drop each modality, ``(M,)``, detached.

    Its confidence is the sum of its largest probabilities over the batch,
    right or wrong. Only what leads the mean of the others is dropped, so the
    least confident modality always stays.

    Args:
        logits: Unimodal logits ``(N, K)``, in modality order.
        floor: Rate b of a modality whose lead vanishes.

    Example:
        >>> video = torch.tensor([[.9, .1], [.8, .2]]).log()
        >>> audio = torch.tensor([[.6, .4], [.5, .5]]).log()
        >>> drop_rates([video, audio])
        tensor([0.4971, 0.0000])

    Source: MBCD (arXiv 2511.20258), Eq. (2)-(4).
    """
    scores = torch.stack([x.detach().softmax(1).amax(1).sum() for x in logits])
    count = len(scores)
    ratios = scores[:, None] / scores
    # Less the 1 on the diagonal, which is no comparison.
    lead = (ratios.sum(1) - 1) / max(count - 1, 1)
    rates = floor + (1 - floor) * (lead - 1).tanh()
    return torch.where(lead <= 1, 0, rates)  # NaN stays


def divergence(target: Tensor, logits: Tensor) -> Tensor:
    """Return ``KL(softmax(target) || softmax(logits))``, mean over samples.

    Args:
        target: Logits of the teacher, ``(N, K)``.
        logits: Logits of the student.

    Example:
        >>> target, student = torch.zeros(1, 2), torch.tensor([[.8, .2]])
        >>> divergence(target, student.log())
        tensor(0.2231)

    Source: MBCD (arXiv 2511.20258), Eq. (8).
    """
    return F.kl_div(
        logits.log_softmax(1),
        target.log_softmax(1),
        reduction='batchmean',
        log_target=True,
    )
