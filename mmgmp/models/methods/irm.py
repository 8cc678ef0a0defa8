"""IRM: one classifier that is optimal in every domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.methods.domain_penalty import RampedMethod
from mmgmp.models.methods.domain_statistics import mean_where
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class IRMMethod(RampedMethod):
    """Penalise what a rescaling of the logits would gain in a domain.

    The slope of a domain's cross-entropy in a common factor of its logits,
    squared without bias: that of the even rows times that of the odd rows,
    mean over the domains with two samples or more. The product may be
    negative. Term ``penalty``, extra [choice]: it depends on labels and on
    domains; ``tasks`` can say domain. A statistic of one batch, that of a
    rank and a micro-batch.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        num_domains: Number of source domains S.
        weight: Of the penalty after ``anneal_steps``, >= 0.
        **kwargs: As in :class:`RampedMethod`.

    Raises:
        ValueError: If a number is negative or an option unknown.

    Example:
        >>> method = IRMMethod({'video': 2}, 2, num_domains=1)
        >>> logits, both = torch.tensor([[1., 0], [1, 0]]), torch.ones(2, 1)
        >>> method.penalty(logits, torch.tensor([0, 0]), both)
        tensor(0.0723)

    Source: Arjovsky et al., "Invariant Risk Minimization"
    (arXiv 1907.02893). [release-D] the even and odd rows, weights and steps,
    as in DomainBed (arXiv 2007.01434).
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {'penalty': Task.EXTRA}

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        weight: float = 100.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels, num_classes, num_domains, weight, **kwargs
        )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted penalty; see the base class."""
        member = self.member(batch)
        penalties = [
            self.penalty(logits, batch.labels, member)
            for logits in self.logits(batch)
        ]
        return self.tagged(
            penalty=self.weight() * torch.stack(penalties).sum()
        )

    @staticmethod
    def penalty(logits: Tensor, labels: Tensor, member: Tensor) -> Tensor:
        """Return the mean over domains of the product of slopes, 0-dim.

        Args:
            logits: Class logits ``(N, K)``.
            labels: ``(N,)``.
            member: ``(N, S)`` of 0 and 1.
        """
        truth = F.one_hot(labels, logits.shape[1])
        # d/dw of the cross-entropy of w o at w = 1, for each sample.
        slopes = ((logits.softmax(1) - truth) * logits).sum(1)
        # Rows of a domain, counted from 0.
        is_odd = (member.cumsum(0) - 1) % 2
        odd = member * is_odd
        even = member * (1 - is_odd)
        product = (slopes @ even / even.sum(0).clamp(min=1)) * (
            slopes @ odd / odd.sum(0).clamp(min=1)
        )
        return mean_where(product, odd.sum(0) > 0)
