"""CORAL: first and second moments of the domains' features, made equal."""

from __future__ import annotations

from torch import Tensor

from mmgmp.models.methods.domain_penalty import (
    FeaturePenalty,
    mean_over_pairs,
)
from mmgmp.registry import MODELS


@MODELS.register_module()
class CORALMethod(FeaturePenalty):
    """Penalise how far the domains' means and covariances lie apart.

    For each pair of domains with two samples or more: the mean squared
    difference of the means, and that of the covariances. A statistic of one
    batch, that of a rank and a micro-batch: a step that is split in another
    way has another loss. Best with ``DomainBalancedSampler``.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        num_domains: Number of source domains S; 1 gives 0.
        weight: Of the distance, > 0.
        **kwargs: ``on``, ``tasks`` and ``init_cfg`` as in the base classes.

    Example:
        >>> import torch
        >>> method = CORALMethod({'video': 2}, 2, num_domains=2)
        >>> x = torch.tensor([[1., 1], [-1, -1], [1, -1], [-1, 1]])
        >>> method.distance(x, torch.eye(2).repeat_interleave(2, 0))
        tensor(8.)

    Source: Sun and Saenko, "Deep CORAL", ECCV 2016 workshops
    (arXiv 1607.01719). [release-D] the form and the weight, as in DomainBed
    (arXiv 2007.01434).
    """

    def distance(self, features: Tensor, member: Tensor) -> Tensor:
        """Return the distance; see the base class.

        The squared norm of a difference of covariances is found from the
        inner products of the centred samples, ``(N, N)``, in double
        precision: for wide features the ``(D, D)`` matrices would be larger
        by far.
        """
        x, belongs = features.double(), member.double()
        count = belongs.sum(0)
        means = belongs.T @ x / count.clamp(min=1)[:, None]
        centred = x - belongs @ means
        # <C_s, C_t> of the covariances.
        scaled = belongs / (count - 1).clamp(min=1)
        inner = scaled.T @ (centred @ centred.T).square() @ scaled
        own = inner.diagonal()
        covariances = own[:, None] + own - 2 * inner
        first = (means[:, None] - means).square().mean(2)
        by_pair = first + covariances / features.shape[1] ** 2
        return mean_over_pairs(by_pair, member).to(features.dtype)
