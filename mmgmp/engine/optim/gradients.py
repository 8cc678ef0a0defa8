"""Arithmetic on lists of gradients, without moving a value to the host."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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


def inner_products(
    first: Gradients, second: Gradients
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``||a||^2``, ``||b||^2`` and ``a . b``, 0-dim each.

    Of two concatenated gradients, in which a missing one counts as zeros. Per
    tensor in its own precision (at least float32), across tensors in float64
    where the device has it. Copies are multiplied by powers of two before
    anything is squared: no finite float32 gradient then overflows or
    vanishes, and on ordinary ones no bit changes.

    Args:
        first: The gradients a.
        second: The gradients b of the same parameters.

    Example:
        >>> a = [torch.tensor([6e30]), None, torch.tensor([8e30])]
        >>> b = [torch.tensor([-1e30]), torch.ones(1), None]
        >>> [f'{x.item():.0e}' for x in inner_products(a, b)]
        ['1e+62', '1e+60', '-6e+60']
    """
    powers = _power_of_two(first), _power_of_two(second)
    # For a product, what is missing from b is put into the copy of a, so
    # that b need not be copied as well. The largest product becomes about
    # 2^60, for the small ones to have room below; where b is so tiny that
    # the copy of a would overflow, less.
    lift = (powers[1].reciprocal() * 2.0**60).clamp(max=2.0**100)
    totals: tuple[list[Tensor], ...] = ([], [], [])
    for run in _runs(first, second):
        found = _run_products(first[run], second[run], *powers, lift)
        for total, values in zip(totals, found, strict=True):
            total += values
    a, b, lifted = (
        x.to(accumulation_dtype(x.device)) for x in (*powers, lift)
    )
    return (
        _total(totals[0], is_norm=True) * a.square(),
        _total(totals[1], is_norm=True) * b.square(),
        _total(totals[2]) * a / lifted,
    )


def _run_products(
    first: Gradients,
    second: Gradients,
    first_power: Tensor,
    second_power: Tensor,
    lift: Tensor,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Norms of both sides and inner products, in scaled units, by tensor.

    One side's copies are alive at a time.
    """
    second_norms = _norms(_divided(second, second_power))
    copies = _divided(first, first_power)
    first_norms = _norms(copies)
    if first_norms:
        torch._foreach_mul_([x for x in copies if x is not None], lift)
    # PyTorch has no foreach dot product, and an elementwise one would need
    # another copy of both sides.
    dots = [
        torch.dot(*_flatten_alike(x, _at_least_float32(y)))
        for x, y in zip(copies, second, strict=True)
        if x is not None and y is not None
    ]
    return first_norms, second_norms, dots


def _norms(gradients: Gradients) -> list[Tensor]:
    present = [g for g in gradients if g is not None]
    return list(torch._foreach_norm(present)) if present else []


def _power_of_two(gradients: Gradients) -> Tensor:
    """Largest power of two that an element's size reaches; in float32.

    Read off the bits, which is exact on every device: those of the exponent
    alone are the power. The limits keep its inverse finite, and turn zero,
    infinity and NaN into powers too.
    """
    present = [g for g in gradients if g is not None and g.numel()]
    if not present:
        return torch.ones(())
    # Several times faster on a CPU than the infinity norm.
    ends = [end for gradient in present for end in torch.aminmax(gradient)]
    peak = torch.stack(ends).abs().amax()
    bits = peak.float().view(torch.int32).bitwise_and(0x7F800000)
    return bits.view(torch.float32).clamp(2.0**-126, 2.0**126)


def _runs(first: Gradients, second: Gradients) -> Iterator[slice]:
    """Cut a list into runs that are no larger than its largest tensor.

    So many of the small ones are copied with one call, and no more memory is
    needed than if they were copied one by one.
    """
    sizes = [
        sum(g.numel() for g in pair if g is not None)
        for pair in zip(first, second, strict=True)
    ]
    start, held = 0, 0
    for index, size in enumerate(sizes):
        if held + size > max(sizes):
            yield slice(start, index)
            start, held = index, 0
        held += size
    yield slice(start, len(sizes))


def _divided(gradients: Gradients, power: Tensor) -> Gradients:
    """Copies in at least float32; exact, for the divisor is a power of two."""
    present = [_at_least_float32(g) for g in gradients if g is not None]
    if not present:
        return gradients
    copies = iter(torch._foreach_mul(present, power.reciprocal()))
    return [None if g is None else next(copies) for g in gradients]


def _total(values: Sequence[Tensor], is_norm: bool = False) -> Tensor:
    """Sum squares or products in the wide type, 0-dim."""
    if not values:
        return torch.zeros(())
    stacked = torch.stack(list(values))
    stacked = stacked.to(accumulation_dtype(stacked.device))
    return (stacked.square() if is_norm else stacked).sum()


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
