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


class HostCopy:
    """A small tensor on its way to the host.

    The copy starts at construction; :meth:`tolist` waits for it alone and
    not for the work that was queued on the device since.

    Args:
        values: Tensor of any shape.

    Example:
        >>> HostCopy(torch.tensor([1., 0.])).tolist()
        [1.0, 0.0]
    """

    def __init__(self, values: Tensor) -> None:
        self._host = values.to('cpu', non_blocking=values.is_cuda)
        self._event: Any = None
        if values.is_cuda:
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def tolist(self) -> list[float]:
        """Return the values, once they have arrived."""
        if self._event is not None:
            self._event.synchronize()
        values: list[float] = self._host.tolist()
        return values


class GradientReduction:
    """A weighted sum of gradients over ranks, under way.

    The gradients move into flat buckets of about 25 MiB, one after the other,
    and are views of them from then on, so no second copy of them stays
    alive. Every bucket's reduction runs asynchronously from construction
    until :meth:`wait`, so that it overlaps the next differentiation. A
    gradient that this rank lacks counts as zero; it stays None only if it is
    None on all ranks. What is sent follows from the parameters alone: a rank
    without any gradient sends as much as the others.

    Args:
        parameters: What the gradients belong to, in the same order on every
            rank.
        gradients: This rank's gradients; the list is overwritten.
        weight: This rank's share of the samples, 0-dim, summing to 1 over
            the ranks.

    Source: docs/scale.md; the paper trains on one device.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        gradients: Gradients,
        weight: Tensor,
    ) -> None:
        self._gradients = gradients
        self._works: list[Any] = []
        if not gradients:
            return
        # Every rank sends the flags and then the same buckets: their number
        # and sizes follow from the parameters, not from what is present.
        present = torch.tensor(
            [gradient is not None for gradient in gradients],
            dtype=torch.uint8,
        ).to(weight.device, non_blocking=True)
        # Few bytes, and on their way to the host before the gradients are
        # reduced: reading them then waits for neither those nor the next
        # task's pass.
        dist.all_reduce(present, dist.ReduceOp.MAX)
        self._present = HostCopy(present)
        for members in _bucket_members(parameters):
            flat = _flatten(parameters, gradients, members)
            flat.mul_(weight.to(flat.dtype))
            self._works.append(dist.all_reduce(flat, async_op=True))

    def wait(self) -> Gradients:
        """Return the reduced gradients, equal on all ranks."""
        for work in self._works:
            work.wait()
        if not self._gradients:
            return []
        # Which gradients exist decides which parameters the optimizer leaves
        # alone.
        present = self._present.tolist()
        return [
            gradient if is_present else None
            for gradient, is_present in zip(
                self._gradients, present, strict=True
            )
        ]


def _flatten(
    parameters: Sequence[Parameter],
    gradients: Gradients,
    members: Sequence[int],
) -> Tensor:
    """Move some gradients into one tensor, and leave views of it behind."""
    first = parameters[members[0]]
    total = sum(parameters[i].numel() for i in members)
    flat = first.new_zeros(total)
    offset = 0
    views, present = [], []
    for index in members:
        parameter = parameters[index]
        gradient = gradients[index]
        view = flat.as_strided(
            parameter.shape, _dense_stride(parameter), offset
        )
        if gradient is not None:
            views.append(view)
            present.append(gradient)
        gradients[index] = view
        offset += parameter.numel()
    if views:
        torch._foreach_copy_(views, present)
    return flat


def _dense_stride(parameter: Parameter) -> tuple[int, ...]:
    """Stride of a gradient that holds the parameter's elements, no more.

    That of the parameter itself wherever possible, as optimizers expect it
    (channels-last weights, for one).
    """
    extent = 1 + sum(
        (size - 1) * stride
        for size, stride in zip(
            parameter.shape, parameter.stride(), strict=True
        )
    )
    if extent == parameter.numel():
        return parameter.stride()
    return torch.empty(parameter.shape, device='meta').stride()


def _bucket_members(parameters: Sequence[Parameter]) -> list[list[int]]:
    """Split indices into runs of one dtype and at most about 25 MiB."""
    buckets: list[list[int]] = []
    size = 0
    for index, parameter in enumerate(parameters):
        nbytes = parameter.numel() * parameter.element_size()
        if (
            not buckets
            or parameter.dtype != parameters[buckets[-1][0]].dtype
            or size + nbytes > _BUCKET_BYTES
        ):
            buckets.append([])
            size = 0
        buckets[-1].append(index)
        size += nbytes
    return buckets
