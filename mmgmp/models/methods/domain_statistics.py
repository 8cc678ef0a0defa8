"""Sums and means by source domain, without waiting for the device."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from torch import Tensor
from torch.nn import functional as F


def membership(domain_labels: Tensor, num_domains: int) -> Tensor:
    """Return which sample is of which domain, ``(N, S)`` of 0. and 1.

    Args:
        domain_labels: Labels in ``0..S-1``, ``(N,)``.
        num_domains: S.

    Example:
        >>> membership(torch.tensor([1, 0]), 2)
        tensor([[0., 1.],
                [1., 0.]])
    """
    return F.one_hot(domain_labels, num_domains).float()


def over_ranks(sums: Tensor) -> Tensor:
    """Return sums over all ranks; a rank's own part passes its gradient on.

    Gradients are averaged over ranks afterwards, so each rank's own counts as
    often as there are ranks.

    Args:
        sums: Sums over the samples of this rank, of one shape on all ranks.

    Example:
        >>> over_ranks(torch.tensor([1., 2.]))
        tensor([1., 2.])
    """
    size = get_world_size()
    if size == 1:
        return sums
    own = sums.detach()
    total = own.clone()
    torch.distributed.all_reduce(total)
    return total + size * (sums - own)


def domain_means(values: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
    """Return means over the samples of each domain, of all ranks together.

    Args:
        values: One number per sample, ``(N,)``.
        member: :func:`membership`, ``(N, S)``.

    Returns:
        Means ``(S,)``, 0 for a domain without samples, and a mask ``(S,)`` of
        the domains that have some.

    Example:
        >>> member = membership(torch.tensor([0, 0, 2]), 3)
        >>> domain_means(torch.tensor([1., 3., 5.]), member)
        (tensor([2., 0., 5.]), tensor([ True, False,  True]))
    """
    member = member.to(values.dtype)
    both = over_ranks(torch.stack([values @ member, member.sum(0)]))
    sums, counts = both.unbind()
    return sums / counts.clamp(min=1), counts > 0


def mean_where(values: Tensor, keep: Tensor) -> Tensor:
    """Return the mean of what is kept, 0-dim; 0 with a graph if nothing is.

    Args:
        values: Tensor of any shape.
        keep: Mask of that shape.

    Example:
        >>> mean_where(torch.tensor([1., 9.]), torch.tensor([True, False]))
        tensor(1.)
    """
    kept = torch.where(keep, values, 0)
    return kept.sum() / keep.sum().clamp(min=1)
