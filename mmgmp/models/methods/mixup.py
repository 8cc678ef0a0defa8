"""Mixup of features across domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.layers import other_domain
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class MixupMethod(BaseMethod):
    """Classify mixtures of two samples of different domains.

    A sample's features are mixed with those of a random partner from another
    domain (of its own where a batch has no other), and the joint classifier
    has to name both classes by their shares: term ``mixup``, classification.
    All modalities share one draw and one partner; with draws of their own
    they are led in different directions.

    Features are mixed, not clips: the encoders' frozen stages are not
    linear, and need to run once only.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weight: Of the term, > 0.
        alpha: Both parameters of the Beta distribution of the share, > 0.
        shared: Whether all modalities share draw and partner; False is the
            ablation, in which the target is the mean of the modalities' own.
        replace: Whether the term stands for the recognizer's cross-entropy.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If ``weight`` or ``alpha`` is not positive.

    Example:
        >>> logits = torch.tensor([[.6, .4]]).log()
        >>> MixupMethod.mixed_loss(
        ...     logits, torch.tensor([[.3, .7]])).item()
        0.7946...

    Source: Zhang et al., "mixup", ICLR 2018 (arXiv 1710.09412), between
    domains as in DomainBed (arXiv 2007.01434). [release-Q] on features, with
    weight 0.5 and alpha 1, as in MMDG-Bench (arXiv 2606.00891). One draw for
    all modalities: UR-MMDG (arXiv 2507.03304), of which no code was at hand.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'mixup': Task.CLASSIFICATION
    }

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weight: float = 0.5,
        alpha: float = 1.0,
        shared: bool = True,
        replace: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.check_positive(weight=weight, alpha=alpha)
        self.weight = weight
        self.alpha = alpha
        self.shared = shared
        self.replaces_cls_loss = replace

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted term; see the base class."""
        truth = F.one_hot(batch.labels, self.num_classes).float()
        count = 1 if self.shared else len(self.modalities)
        draws = [self._draw(batch) for _ in range(count)]
        mixed, targets = {}, []
        for index, (modality, x) in enumerate(batch.features.items()):
            share, partner = draws[index % count]
            mixed[modality] = share * x + (1 - share) * x[partner]
            targets.append(share * truth + (1 - share) * truth[partner])
        target = torch.stack(targets).mean(0)
        loss = self.mixed_loss(batch.classify(mixed), target)
        return self.tagged(mixup=self.weight * loss)

    @staticmethod
    def mixed_loss(logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy with shares of classes, 0-dim.

        Args:
            logits: ``(N, K)``.
            target: Shares of the classes, ``(N, K)``.
        """
        return F.cross_entropy(logits, target)

    def _draw(self, batch: MultiModalBatch) -> tuple[Tensor, Tensor]:
        """One share for the batch, and a partner ``(N,)`` for each sample."""
        like = batch.fused
        alpha = torch.full((), self.alpha, device=like.device)
        # Checking its arguments would wait for the device.
        share = torch.distributions.Beta(
            alpha, alpha, validate_args=False
        ).sample()
        return share, other_domain(batch.domain_labels)
