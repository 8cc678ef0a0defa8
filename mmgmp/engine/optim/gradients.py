"""Arithmetic on lists of gradients, without moving a value to the host."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Parameter

#: Gradients of a list of parameters; None where the task does not reach one.
Gradients = list[Tensor | None]

_SINGLE = torch.float32
#: Squared norms between which float32 loses nothing: far enough from its
#: largest number, and so far above its smallest that what vanishes there is
#: less than the rounding of 10^9 elements.
_LOWEST, _HIGHEST = 2.0**-72, 2.0**120
#: Elements that are copied at a time.
_CHUNK = 2**19


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


def inner_products(
    first: Gradients,
    second: Gradients,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``||a||^2``, ``||b||^2`` and ``a . b``, 0-dim each.

    Of two concatenated gradients, in which a missing one counts as zeros.
    Right for every finite float32 gradient, however large or small: in
    float64 no square of one overflows or vanishes. Ordinary gradients on a
    CPU are multiplied in float32 tensor by tensor, and only these results
    are summed in float64, which takes a third of the time.

    Args:
        first: The gradients a.
        second: The gradients b of the same parameters.
        device: Where the zeros are that stand for no gradient at all.

    Returns:
        In float64 where the device has it, else in float32.

    Example:
        >>> a = [torch.tensor([6e30]), None, torch.tensor([8e30])]
        >>> b = [torch.tensor([-1e30]), torch.ones(1), None]
        >>> [f'{x.item():.0e}' for x in inner_products(a, b)]
        ['1e+62', '1e+60', '-6e+60']
    """
    present = [g for g in (*first, *second) if g is not None]
    if not present:
        device = device or torch.device('cpu')
        zeros = torch.zeros(3, dtype=accumulation_dtype(device), device=device)
        return zeros[0], zeros[1], zeros[2]
    if all(g.device.type == 'cpu' and g.dtype == _SINGLE for g in present):
        norms = _squared_norm(first), _squared_norm(second)
        # Looking is free on the host.
        if all(n is None or _LOWEST <= n <= _HIGHEST for n in norms):
            zero = torch.zeros((), dtype=torch.float64)
            a, b = (zero if n is None else n for n in norms)
            return a, b, _dot(first, second)
    return _wide_products(first, second)


def _squared_norm(gradients: Gradients) -> Tensor | None:
    """Sum the squares of tensors' norms in float64; None of nothing."""
    present = [g for g in gradients if g is not None]
    if not present:
        return None
    return torch.stack(torch._foreach_norm(present)).double().square().sum()


def _dot(first: Gradients, second: Gradients) -> Tensor:
    """Sum the inner products of tensors in float64."""
    # PyTorch has no foreach dot product.
    dots = [
        torch.dot(*_flatten_alike(a, b))
        for a, b in zip(first, second, strict=True)
        if a is not None and b is not None
    ]
    if not dots:
        return torch.zeros((), dtype=torch.float64)
    return torch.stack(dots).double().sum()


def _wide_products(
    first: Gradients, second: Gradients
) -> tuple[Tensor, Tensor, Tensor]:
    """Inner products in float64 throughout, in one pass over both sides.

    Copies go through a buffer of 8 MB, many small tensors at a time, so
    that neither the memory nor the number of calls grows with the network.
    """
    found: list[Tensor] = []
    buffer = torch.empty(0)
    for run in _runs(first, second):
        if not found:
            device = run[0][0].device
            buffer = torch.empty(
                2, _CHUNK, dtype=accumulation_dtype(device), device=device
            )
        sizes = [a.numel() for a, _ in run]
        rows = buffer[:, : sum(sizes)]
        for row, side in zip(rows, zip(*run, strict=True), strict=True):
            torch._foreach_copy_(torch.split(row, sizes), side)
        a, b = rows
        found.append(torch.stack([a.dot(a), b.dot(b), a.dot(b)]))
    a, b, cross = torch.stack(found).sum(0)
    return a, b, cross


def _runs(
    first: Gradients, second: Gradients
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Cut flattened pairs into runs of at most :data:`_CHUNK` elements."""
    run: list[tuple[Tensor, Tensor]] = []
    held = 0
    for pair in zip(first, second, strict=True):
        a, b = (_or_zeros(*sides) for sides in (pair, pair[::-1]))
        if a is None or b is None:
            continue
        for piece in zip(
            *(torch.split(x, _CHUNK) for x in _flatten_alike(a, b)),
            strict=True,
        ):
            if run and held + piece[0].numel() > _CHUNK:
                yield run
                run, held = [], 0
            run.append(piece)
            held += piece[0].numel()
    if run:
        yield run


def _or_zeros(gradient: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Zeros, which take no memory, where only the other one is present."""
    if gradient is None and other is not None:
        return other.new_zeros(()).expand(other.numel())
    return gradient


def scale_(
    gradients: Sequence[Tensor], factor: Tensor, is_wide: bool = False
) -> None:
    """Multiply gradients in place by a 0-dim tensor on their device.

    Args:
        gradients: Changed in place.
        factor: In any precision.
        is_wide: Whether the factor may be too large for the gradients' type
            though the product is not, as that of a projection may: it is
            about ``||g_c|| / ||g_d||``.

    Example:
        >>> gradient = torch.tensor([1e-20])
        >>> factor = torch.tensor(1e40, dtype=torch.float64)
        >>> scale_([gradient], factor, is_wide=True)
        >>> gradient
        tensor([1.0000e+20])
    """
    for group in by_dtype(gradients):
        kind = group[0].dtype
        if not is_wide:
            torch._foreach_mul_(group, factor.to(kind))
            continue
        limit = torch.finfo(kind).max
        within = factor.clamp(-limit, limit)
        torch._foreach_mul_(group, within.to(kind))
        # Looking is free on the host; elsewhere it would wait for the
        # device, and a second pass costs less than that.
        if factor.device.type != 'cpu' or not torch.equal(within, factor):
            rest = torch.where(within == factor, 1, factor / within)
            torch._foreach_mul_(group, rest.to(kind))


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


def clippable(
    optimizer: torch.optim.Optimizer, kept: Collection[int]
) -> list[Parameter]:
    """Return the optimizer's parameters whose gradients are clipped.

    Args:
        optimizer: The optimizer.
        kept: Ids of parameters that are not.
    """
    return [
        parameter
        for group in optimizer.param_groups
        for parameter in group['params']
        if parameter.requires_grad
        and parameter.grad is not None
        and id(parameter) not in kept
    ]
