"""V-REx: equal risks in all domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmgmp.models.methods.domain_penalty import RampedMethod
from mmgmp.models.methods.domain_statistics import domain_means, mean_where
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class VRExMethod(RampedMethod):
    """Minimise the mean of the domains' risks and their variance.

    Term ``risk`` (classification) is the mean over domains of their mean
    cross-entropies and stands for the recognizer's own, which weighs samples
    and not domains; ``variance`` is extra [choice]: it depends on labels and
    on domains, and ``tasks`` can say domain. Means are over the samples of
    all ranks, so that two ranks are one; those of a micro-batch are its own.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        num_domains: Number of source domains S.
        weight: Beta of the variance after ``anneal_steps``, >= 0.
        **kwargs: As in :class:`RampedMethod`.

    Raises:
        ValueError: If a number is negative or an option unknown.

    Example:
        >>> method = VRExMethod({'video': 2}, 2, num_domains=2)
        >>> risks, seen = torch.tensor([1., 3.]), torch.tensor([True, True])
        >>> mean, variance = method.mean_and_variance(risks, seen)
        >>> mean + 10 * variance
        tensor(12.)

    Source: Krueger et al., "Out-of-Distribution Generalization via Risk
    Extrapolation", ICML 2021 (arXiv 2003.00688). [release-D] the form,
    weights and steps, as in DomainBed (arXiv 2007.01434).
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'risk': Task.CLASSIFICATION,
        'variance': Task.EXTRA,
    }
    replaces_cls_loss = True

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        weight: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels, num_classes, num_domains, weight, **kwargs
        )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return risk and weighted variance; see the base class."""
        member = self.member(batch)
        found = [
            self.mean_and_variance(*domain_means(values, member))
            for values in self.sample_losses(batch)
        ]
        means, variances = zip(*found, strict=True)
        return self.tagged(
            risk=torch.stack(means).sum(),
            variance=self.weight() * torch.stack(variances).sum(),
        )

    @staticmethod
    def mean_and_variance(
        risks: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return both over the domains that a batch has, 0-dim.

        Args:
            risks: Mean cross-entropy by domain, ``(S,)``.
            seen: Mask of the domains in the batch, ``(S,)``.
        """
        mean = mean_where(risks, seen)
        return mean, mean_where((risks - mean).square(), seen)
