"""What penalties on differences between source domains have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.layers import WeightRamp
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.models.methods.domain_statistics import mean_where, membership
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice

PLACES = ('fused', 'modality')


class DomainMethod(BaseMethod):
    """A method that compares the source domains of a batch.

    Args:
        in_channels: As in :class:`BaseMethod`.
        num_classes: As in :class:`BaseMethod`.
        num_domains: Number of source domains S, >= 1; the protocol fills it
            in where a config says None.
        on: Where the method acts: ``'fused'`` on what the joint classifier
            reads or says, ``'modality'`` on each modality's own; both are
            summed.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If there is no domain, or no known place.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        on: Sequence[str] = PLACES,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        name = type(self).__name__
        if num_domains < 1:
            raise ValueError(
                f'num_domains of {name} must be >= 1, got {num_domains}; '
                'correct model.methods'
            )
        if not on or isinstance(on, str):
            raise ValueError(
                f'on of {name} must be a list of {list(PLACES)}, got '
                f'{on!r}; correct model.methods'
            )
        for place in on:
            check_choice(f'on of {name}', place, PLACES, 'correct it')
        self.num_domains = num_domains
        self.on = frozenset(on)

    def member(self, batch: MultiModalBatch) -> Tensor:
        """Return which sample is of which domain, ``(N, S)``."""
        return membership(batch.domain_labels, self.num_domains)

    def features(self, batch: MultiModalBatch) -> list[Tensor]:
        """Return the features at the chosen places, ``(N, D)`` each."""
        fused = [batch.fused] if 'fused' in self.on else []
        own = batch.features.values() if 'modality' in self.on else ()
        return [*fused, *own]

    def logits(self, batch: MultiModalBatch) -> list[Tensor]:
        """Return the class logits at the chosen places, ``(N, K)`` each.

        Raises:
            ValueError: If each modality's own are meant, and there are none.
        """
        fused = [batch.logits] if 'fused' in self.on else []
        if 'modality' not in self.on:
            return fused
        if not batch.unimodal_logits:
            raise ValueError(
                f"on of {type(self).__name__} has 'modality', which reads "
                'model.unimodal_heads, got none; add them, or set '
                "on=['fused']"
            )
        return [*fused, *batch.unimodal_logits.values()]

    def sample_losses(self, batch: MultiModalBatch) -> list[Tensor]:
        """Return cross-entropies at the chosen places, ``(N,)`` each."""
        return [
            F.cross_entropy(logits, batch.labels, reduction='none')
            for logits in self.logits(batch)
        ]


class RampedMethod(DomainMethod):
    """A method on logits whose weight grows, as ``self.weight()``.

    Args:
        in_channels: As in :class:`BaseMethod`.
        num_classes: As in :class:`BaseMethod`.
        num_domains: As in :class:`DomainMethod`.
        weight: After ``anneal_steps``, >= 0.
        start_weight: At the first step, >= 0.
        anneal_steps: Steps in between, >= 0.
        ramp: ``'linear'`` [choice], or ``'step'`` [release-D], which makes
            the loss jump; the optimizer is not reset then.
        on: ``'fused'`` logits, ``'modality'`` for those of
            ``model.unimodal_heads``; both are summed.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If a number is negative or an option unknown.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        weight: float,
        start_weight: float = 1.0,
        anneal_steps: int = 500,
        ramp: str = 'linear',
        on: Sequence[str] = ('fused',),
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, num_domains, on, **kwargs)
        self.weight = WeightRamp(start_weight, weight, anneal_steps, ramp)


class FeaturePenalty(DomainMethod):
    """A distance between the domains' features, term ``distance``.

    It ignores class labels, and is of the domain task: without a
    discriminator GMP's domain gradient is its own.

    Args:
        in_channels: As in :class:`BaseMethod`.
        num_classes: As in :class:`BaseMethod`.
        num_domains: As in :class:`DomainMethod`.
        weight: Of the distance, > 0.
        **kwargs: As in :class:`DomainMethod`.

    Raises:
        ValueError: If ``weight`` is not positive.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {'distance': Task.DOMAIN}

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, num_domains, **kwargs)
        self.check_positive(weight=weight)
        self.weight = weight

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted sum over places; see the base class."""
        member = self.member(batch)
        distances = [self.distance(x, member) for x in self.features(batch)]
        return self.tagged(distance=self.weight * torch.stack(distances).sum())

    @abstractmethod
    def distance(self, features: Tensor, member: Tensor) -> Tensor:
        """Return the distance between the domains of a batch, 0-dim.

        Args:
            features: ``(N, D)``.
            member: ``(N, S)`` of 0 and 1.
        """


def mean_over_pairs(distances: Tensor, member: Tensor) -> Tensor:
    """Mean over the pairs of domains with two samples or more, 0-dim.

    Args:
        distances: ``(S, S)``, symmetric.
        member: ``(N, S)`` of 0 and 1.

    Returns:
        0 with a graph if there is no such pair.
    """
    has_two = member.sum(0) >= 2
    keep = torch.triu(has_two[:, None] & has_two, diagonal=1)
    return mean_where(distances, keep)
