"""Arithmetic on lists of gradients, without moving a value to the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Parameter

#: Gradients of a list of parameters; None where the task does not reach one.
Gradients = list[Tensor | None]


def accumulation_dtype(device: torch.device) -> torch.dtype:
    """Return float64 where the device has it, else float32.

    Example:
        >>> accumulation_dtype(torch.device('cpu'))
        torch.float64
    """
    return torch.float32 if device.type == 'mps' else torch.float64


@contextmanager
def explained_checkpointing() -> Iterator[None]:
    """Say what to do where activation checkpointing cannot be split.

    The reentrant form of PyTorch's checkpointing runs a backward pass of its
    own inside ours and so cannot be asked for some gradients only.

    Raises:
        RuntimeError: In place of PyTorch's own.

    Example:
        >>> with explained_checkpointing():
        ...     pass
    """
    try:
        yield
    except RuntimeError as error:
        if 'use_reentrant' not in str(error) and (
            'Checkpointing is not compatible' not in str(error)
        ):
            raise
        raise RuntimeError(
            'Activation checkpointing must be of the non-reentrant kind for '
            'gradients per task, got the reentrant one, which with_cp=True '
            'of a backbone and activation_checkpointing=[...] of MMEngine '
            'use; set with_cp=True of the ModalityEncoder instead, or call '
            'torch.utils.checkpoint.checkpoint with use_reentrant=False'
        ) from error


def backward_into(
    loss: Tensor,
    parameters: Sequence[Parameter],
    gradients: Gradients,
    others: Sequence[Parameter],
    retain_graph: bool,
) -> Gradients:
    """Differentiate once, adding to separate gradients for ``parameters``.

    The gradients of ``others`` are added to their ``.grad`` as usual. Those
    of ``parameters`` are added in place to ``gradients``, tensor by tensor,
    so that no second copy of them is ever alive.

    Args:
        loss: 0-dim tensor to differentiate.
        parameters: Parameters whose gradients are kept apart.
        gradients: What earlier micro-batches left, or None for each.
        others: Parameters with ordinary gradients.
        retain_graph: Whether another differentiation follows.

    Returns:
        The updated gradients; the ``.grad`` of ``parameters`` is left None.

    Raises:
        RuntimeError: If the graph holds reentrant checkpointing.

    Example:
        >>> w = Parameter(torch.ones(1))
        >>> backward_into((2 * w).sum(), [w], [torch.ones(1)], [], False)
        [tensor([3.])]
    """
    inputs = [*parameters, *others]
    if not inputs:
        return []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    with explained_checkpointing():
        torch.autograd.backward(
            [loss], inputs=inputs, retain_graph=retain_graph
        )
    result: Gradients = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    return result


def squared_norm(gradients: Gradients) -> Tensor:
    """Return ``||g||^2`` of the concatenated gradients, 0-dim.

    Per tensor in its own precision (at least float32), across tensors in
    float64 where the device has it. Missing gradients count as zeros.

    Example:
        >>> squared_norm([torch.tensor([3.]), None, torch.tensor([4.])])
        tensor(25., dtype=torch.float64)
    """
    present = [_at_least_float32(g) for g in gradients if g is not None]
    if not present:
        return torch.zeros(())
    norms = torch.stack(torch._foreach_norm(present))
    return norms.to(accumulation_dtype(norms.device)).square().sum()


def inner_product(first: Gradients, second: Gradients) -> Tensor:
    """Return the inner product of two concatenated gradients, 0-dim.

    PyTorch has no foreach dot product; the elementwise product would need a
    third copy of the gradients, so the loop over ``torch.dot`` stays.

    Example:
        >>> inner_product([torch.tensor([1., 2.])], [torch.tensor([3., 4.])])
        tensor(11., dtype=torch.float64)
    """
    dots = [
        torch.dot(*_flatten_alike(_at_least_float32(a), _at_least_float32(b)))
        for a, b in zip(first, second, strict=True)
        if a is not None and b is not None
    ]
    if not dots:
        return torch.zeros(())
    stacked = torch.stack(dots)
    return stacked.to(accumulation_dtype(stacked.device)).sum()


def scale_(gradients: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply gradients in place by a 0-dim tensor on their device."""
    for group in by_dtype(gradients):
        torch._foreach_mul_(group, factor.to(group[0].dtype))


def add_(first: Gradients, second: Gradients) -> Gradients:
    """Add the second gradients to the first in place.

    Returns:
        The sums; where only one of the two is present, that tensor.

    Example:
        >>> add_([torch.ones(1), None], [torch.ones(1), torch.ones(1)])
        [tensor([2.]), tensor([1.])]
    """
    pairs = [
        (a, b)
        for a, b in zip(first, second, strict=True)
        if a is not None and b is not None
    ]
    if pairs:
        left, right = zip(*pairs, strict=True)
        torch._foreach_add_(list(left), list(right))
    return [b if a is None else a for a, b in zip(first, second, strict=True)]


def _at_least_float32(tensor: Tensor) -> Tensor:
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    return tensor


def _flatten_alike(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Flatten both in the same element order, without a copy if dense."""
    if first.stride() != second.stride() or first.is_contiguous():
        return first.reshape(-1), second.reshape(-1)
    order = sorted(
        range(first.ndim), key=lambda i: first.stride(i), reverse=True
    )
    return (
        first.permute(order).reshape(-1),
        second.permute(order).reshape(-1),
    )


def by_dtype(gradients: Sequence[Tensor]) -> list[list[Tensor]]:
    """Sort tensors into lists of one type, as ``torch._foreach_*`` needs.

    Example:
        >>> len(by_dtype([torch.ones(1), torch.ones(2)]))
        1
    """
    groups: dict[torch.dtype, list[Tensor]] = {}
    for gradient in gradients:
        groups.setdefault(gradient.dtype, []).append(gradient)
    return list(groups.values())
