"""GroupDRO: the worst domain counts most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmgmp.models.methods.domain_penalty import DomainMethod
from mmgmp.models.methods.domain_statistics import domain_means
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task

_TINY = torch.finfo(torch.float32).tiny


@MODELS.register_module()
class GroupDROMethod(DomainMethod):
    """Weigh the domains' risks, more and more for those that are high.

    Weights q follow ``q_s <- q_s exp(eta L_s)``, renormalised, and the loss
    ``sum_s q_s L_s`` (term ``risk``, classification) stands for the
    recognizer's cross-entropy. A domain that a batch lacks keeps its weight
    until they are renormalised, and the loss is that of the others with
    weights that sum to 1. Means are over the samples of all ranks, so that
    two ranks are one; each micro-batch moves q. The weights are part of the
    model's state.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        num_domains: Number of source domains S.
        eta: Step of the weights, > 0.
        on: ``'fused'`` logits, ``'modality'`` for those of
            ``model.unimodal_heads``, whose losses are added.
        **kwargs: ``tasks`` and ``init_cfg`` as in :class:`BaseMethod`.

    Raises:
        ValueError: If ``eta`` is not positive.

    Example:
        >>> method = GroupDROMethod({'video': 2}, 2, num_domains=2, eta=1.)
        >>> seen = torch.tensor([True, True])
        >>> method.weighted(torch.tensor([1., 3.]), seen)
        tensor(2.7616)
        >>> method.q
        tensor([0.1192, 0.8808])

    Source: Sagawa et al., "Distributionally Robust Neural Networks for Group
    Shifts", ICLR 2020 (arXiv 1911.08731). [release-D] eta, as in DomainBed
    (arXiv 2007.01434).
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {'risk': Task.CLASSIFICATION}
    replaces_cls_loss = True
    q: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        eta: float = 0.01,
        on: Sequence[str] = ('fused',),
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, num_domains, on, **kwargs)
        self.check_positive(eta=eta)
        self.eta = eta
        self.register_buffer('q', torch.full((num_domains,), 1 / num_domains))

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted risk; see the base class."""
        member = self.member(batch)
        found = [domain_means(x, member) for x in self.sample_losses(batch)]
        risks = torch.stack([means for means, _ in found]).sum(0)
        return self.tagged(risk=self.weighted(risks, found[0][1]))

    def weighted(self, risks: Tensor, seen: Tensor) -> Tensor:
        """Return the weighted risk, 0-dim; in training the weights move.

        Args:
            risks: Mean cross-entropy by domain, ``(S,)``.
            seen: Mask of the domains in the batch, ``(S,)``.
        """
        # As logarithms: a large risk must not overflow.
        old = self.q.clamp(min=_TINY).log()
        grown = old + self.eta * torch.where(seen, risks.detach(), 0)
        q = grown.softmax(0).to(self.q.dtype)
        if self.training:
            # A step that mixed precision drops must not leave NaN behind.
            self.q.copy_(torch.where(grown.isfinite().all(), q, self.q))
        kept = torch.where(seen, q, 0)
        return (kept * risks).sum() / kept.sum().clamp(min=_TINY)
