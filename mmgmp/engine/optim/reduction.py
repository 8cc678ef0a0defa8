"""Averaging of gradients and sums over the ranks of a data-parallel run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size
from torch import Tensor
from torch.nn import Parameter

from mmgmp.engine.optim.gradients import Gradients

_BUCKET_BYTES = 25 * 2**20


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of a small tensor over all ranks.

    Example:
        >>> sum_over_ranks(torch.ones(2))
        tensor([1., 1.])
    """
    if get_world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


class GradientReduction:
    """A weighted sum of gradients over ranks, under way.

    The gradients are flattened into buckets; every bucket's reduction runs
    asynchronously from construction until :meth:`wait`, so that it overlaps
    the next differentiation. A gradient that this rank lacks counts as zero;
    it stays None only if it is None on all ranks.

    Args:
        parameters: What the gradients belong to, in the same order on every
            rank.
        gradients: This rank's gradients; they are overwritten.
        weight: This rank's share of the samples, 0-dim, summing to 1 over
            the ranks.

    Source: section "data parallel" of docs/decisions.md; the paper trains on
    one device.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        gradients: Gradients,
        weight: Tensor,
    ) -> None:
        self._gradients = [
            torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]
        device = weight.device
        self._present = torch.tensor(
            [gradient is not None for gradient in gradients],
            dtype=torch.uint8,
            device=device,
        )
        self._works: list[Any] = []
        self._buckets = []
        if self._gradients:
            self._works.append(
                dist.all_reduce(
                    self._present, dist.ReduceOp.MAX, async_op=True
                )
            )
        for members in _bucket_members(self._gradients):
            flat = torch.cat([g.reshape(-1) for g in members])
            flat.mul_(weight.to(flat.dtype))
            self._works.append(dist.all_reduce(flat, async_op=True))
            self._buckets.append((members, flat))

    def wait(self) -> Gradients:
        """Return the reduced gradients, equal on all ranks."""
        for work in self._works:
            work.wait()
        for members, flat in self._buckets:
            parts = flat.split([g.numel() for g in members])
            torch._foreach_copy_(
                members,
                [
                    part.view_as(g)
                    for part, g in zip(parts, members, strict=True)
                ],
            )
        # The only host copy of a distributed step: which gradients exist.
        present = self._present.tolist()
        return [
            g if is_present else None
            for g, is_present in zip(self._gradients, present, strict=True)
        ]


def _bucket_members(gradients: Sequence[Tensor]) -> list[list[Tensor]]:
    """Split into runs of one dtype and at most about 25 MiB."""
    buckets: list[list[Tensor]] = []
    size = 0
    for gradient in gradients:
        nbytes = gradient.numel() * gradient.element_size()
        if (
            not buckets
            or gradient.dtype != buckets[-1][0].dtype
            or size + nbytes > _BUCKET_BYTES
        ):
            buckets.append([])
            size = 0
        buckets[-1].append(gradient)
        size += nbytes
    return buckets
