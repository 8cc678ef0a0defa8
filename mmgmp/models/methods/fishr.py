"""Fishr: equal variances of the domains' gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.layers import WeightRamp
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.models.methods.domain_statistics import (
    mean_where,
    membership,
    over_ranks,
)
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class FishrMethod(BaseMethod):
    """Penalise how far the domains' gradient variances lie apart.

    The variance over a domain's samples of the gradient of each weight and
    bias of the classifier's last layer, as a running mean; the penalty is
    the mean squared difference to the mean over domains, of those with two
    samples or more. The gradient of a sample is ``(softmax(o) - y) h``, so
    that its variance needs one product of matrices and no second backward
    pass [choice]. Term ``penalty``, extra [choice]: it depends on labels and
    on domains; ``tasks`` can say domain. Variances are over the samples of
    all ranks, so that two ranks are one; those of a micro-batch are its own.
    Running means are part of the model's state.

    Only the joint classifier is read: it has the one last layer that all
    modalities share.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        num_domains: Number of source domains S, >= 1; the protocol fills it
            in where a config says None.
        hidden_channels: Width D of what the last layer reads; the recognizer
            fills it in.
        decay: Of the running mean, in [0, 1).
        weight: Of the penalty after ``anneal_steps``, >= 0.
        start_weight: At the first step, >= 0.
        anneal_steps: Steps in between, >= 0.
        ramp: ``'linear'`` [choice], or ``'step'`` [release-D], which makes
            the loss jump; the optimizer is not reset then.
        **kwargs: ``tasks`` and ``init_cfg`` as in :class:`BaseMethod`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> method = FishrMethod({'video': 2}, 2, 2, hidden_channels=2)
        >>> method.spread(
        ...     torch.tensor([[1., 0], [3, 0]]), torch.tensor([True, True]))
        tensor(0.5000)

    Source: Rame et al., "Fishr: Invariant Gradient Variances for
    Out-of-Distribution Generalization", ICML 2022 (arXiv 2109.02934).
    [release-D] decay, weights and steps, as in DomainBed (arXiv 2007.01434).
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {'penalty': Task.EXTRA}
    build_with = frozenset({'hidden_channels'})
    running: Tensor
    updates: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        hidden_channels: int,
        decay: float = 0.95,
        weight: float = 1000.0,
        start_weight: float = 0.0,
        anneal_steps: int = 1500,
        ramp: str = 'linear',
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        if num_domains < 1 or not 0 <= decay < 1:
            raise ValueError(
                'num_domains of FishrMethod must be >= 1 and decay in [0, 1), '
                f'got {num_domains} and {decay}; correct model.methods'
            )
        self.num_domains = num_domains
        self.decay = decay
        self.weight = WeightRamp(start_weight, weight, anneal_steps, ramp)
        # One more column for the bias.
        size = (num_domains, num_classes * (hidden_channels + 1))
        self.register_buffer('running', torch.zeros(size))
        self.register_buffer('updates', torch.zeros(num_domains))

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted penalty; see the base class."""
        assert batch.hidden is not None  # Asked for by ``build_with``.
        member = membership(batch.domain_labels, self.num_domains)
        variances, seen = self.variances(
            batch.logits,
            batch.hidden.to(batch.logits.dtype),
            batch.labels,
            member,
        )
        smooth = self._smoothed(variances, seen)
        return self.tagged(penalty=self.weight() * self.spread(smooth, seen))

    @staticmethod
    def variances(
        logits: Tensor, hidden: Tensor, labels: Tensor, member: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients' variances by domain.

        Args:
            logits: Class logits ``(N, K)``.
            hidden: What the last layer read, ``(N, D)``.
            labels: ``(N,)``.
            member: ``(N, S)`` of 0 and 1.

        Returns:
            Variances ``(S, K * (D + 1))`` with divisor n_s, and a mask
            ``(S,)`` of the domains with two samples or more.
        """
        residual = logits.softmax(1) - F.one_hot(labels, logits.shape[1])
        wide = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)
        by_domain = member.T[:, :, None] * residual
        sums = torch.stack(
            [
                (by_domain * residual).transpose(1, 2) @ wide.square(),
                by_domain.transpose(1, 2) @ wide,
            ]
        ).flatten(2)
        counts = over_ranks(member.sum(0))
        square, first = over_ranks(sums) / counts.clamp(min=1)[:, None]
        return square - first.square(), counts >= 2

    def _smoothed(self, variances: Tensor, seen: Tensor) -> Tensor:
        """Running means with this batch, without their bias to zero."""
        mixed = self.decay * self.running + (1 - self.decay) * variances
        updates = self.updates + seen
        if self.training:
            fixed = mixed.detach()
            is_sound = seen & fixed.isfinite().all(1)
            kept = torch.where(is_sound[:, None], fixed, self.running)
            self.running.copy_(kept)
            self.updates += is_sound
        correction = 1 - self.decay ** updates.clamp(min=1)
        return mixed / correction[:, None]

    @staticmethod
    def spread(variances: Tensor, seen: Tensor) -> Tensor:
        """Return the mean squared difference to the mean, 0-dim.

        Args:
            variances: By domain, ``(S, E)``.
            seen: Mask of the domains that count, ``(S,)``.
        """
        kept = torch.where(seen[:, None], variances, 0)
        mean = kept.sum(0) / seen.sum().clamp(min=1)
        return mean_where((kept - mean).square().mean(1), seen)
