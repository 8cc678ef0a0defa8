"""Modulation of an encoder's step instead of its gradient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.engine.optim.diagnostics import Diagnostics
from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import (
    Gradients,
    accumulation_dtype,
    by_dtype,
    inner_products,
)
from mmgmp.utils import log_names

_TINY = torch.finfo(torch.float32).tiny
#: Above it the tasks cancel to within the accuracy of their gradients.
_LARGEST = 1e4


class GradientScale:
    """The paper's way: what the strategy says is in the gradients alone.

    Null object of :class:`UpdateScale`; nothing is measured or kept.
    """

    def measure(self, gradients: Iterable[Gradients]) -> None:
        """Look at the task gradients before they are changed."""

    def split(self) -> None:
        """Divide what is in ``.grad`` by the scale of the step."""

    @contextmanager
    def scaled_step(self) -> Iterator[None]:
        """Scale the step that the optimizer takes inside."""
        yield


class UpdateScale(GradientScale):
    r"""Scale each encoder's step, so that no optimizer can undo it.

    An adaptive optimizer divides a nearly constant factor out of a gradient.
    With G the combined and :math:`g_0` the plain sum of the task gradients of
    an encoder, :math:`s = |G| / |g_0|`; the optimizer is given
    :math:`G / s` and its step is multiplied by s. Decoupled weight decay is
    part of that step. s is 1 where :math:`g_0` vanishes, exactly or to
    within 1e-4 of G, or where G is not finite.

    Norms are of the gradients themselves and not of their inner products:
    that holds for any number of tasks and for factors of single tensors, and
    loses no digits where tasks cancel.

    Args:
        groups: The encoders' parameters.
        diagnostics: Where s is recorded, as ``update_scale_<modality>``.

    Source: ours [choice]; the paper modulates gradients.
    """

    def __init__(
        self, groups: EncoderGroups, diagnostics: Diagnostics
    ) -> None:
        self._groups = groups
        self._diagnostics = diagnostics
        self._plain: list[Tensor] = []
        self._scales: list[Tensor] = []

    def measure(self, gradients: Iterable[Gradients]) -> None:
        """Measure the plain sum; see the base class.

        Args:
            gradients: Of the tasks, equal on all ranks.
        """
        by_task = list(gradients)
        # One encoder at a time: its sum is a copy.
        device = self._groups.flat[0].device
        self._plain = [
            _squared_norm(_sum([task[part] for task in by_task]), device)
            for part in self._groups.parts
        ]

    def split(self) -> None:
        """Divide the gradients; see the base class.

        Everything is a quotient of gradients of one scale: that of the loss
        cancels, and an overflow gives 1 and is the scaler's to find.
        """
        self._scales = []
        device = self._groups.flat[0].device
        for parameters, plain in zip(
            self._groups.by_modality.values(), self._plain, strict=True
        ):
            present = [p.grad for p in parameters if p.grad is not None]
            scale = _quotient(_squared_norm(list(present), device), plain)
            divisor = torch.where(scale == 0, 1.0, scale)
            for group in by_dtype(present):
                # All in the wide type would be a copy of the gradients.
                torch._foreach_div_(group, divisor.to(group[0].dtype))
            self._scales.append(scale)
        kind = accumulation_dtype(device)
        self._diagnostics.record(
            log_names.UPDATE_SCALE,
            torch.stack([scale.to(device, kind) for scale in self._scales]),
        )

    @contextmanager
    def scaled_step(self) -> Iterator[None]:
        """Scale the step; see the base class.

        The encoders' values are kept and interpolated, which needs nothing of
        the optimizer: neither groups of its own nor rates that are tensors.
        """
        moved = [
            [p for p in parameters if p.grad is not None]
            for parameters in self._groups.by_modality.values()
        ]
        old = [[p.detach().clone() for p in part] for part in moved]
        yield
        with torch.no_grad():
            for part, before, scale in zip(
                moved, old, self._scales, strict=True
            ):
                _interpolate(part, before, scale)


def build_update_scale(
    acts_on: str, groups: EncoderGroups, diagnostics: Diagnostics
) -> GradientScale:
    """Return what ``acts_on``, checked before, stands for."""
    if acts_on == 'update':
        return UpdateScale(groups, diagnostics)
    return GradientScale()


def _sum(by_task: Sequence[Gradients]) -> Gradients:
    """Sum over tasks, as new tensors where more than one is present."""
    total = list(by_task[0]) if by_task else []
    for gradients in by_task[1:]:
        pairs = {
            index: (a, b)
            for index, (a, b) in enumerate(zip(total, gradients, strict=True))
            if a is not None and b is not None
        }
        total = [
            b if a is None else a
            for a, b in zip(total, gradients, strict=True)
        ]
        if pairs:
            left, right = zip(*pairs.values(), strict=True)
            sums = torch._foreach_add(list(left), list(right))
            for index, value in zip(pairs, sums, strict=True):
                total[index] = value
    return total


def _squared_norm(gradients: Gradients, device: torch.device) -> Tensor:
    # An encoder without a gradient says nothing of its device.
    return inner_products(gradients, [None] * len(gradients), device)[0]


def _quotient(combined: Tensor, plain: Tensor) -> Tensor:
    """Return s from two squared norms; 0-dim, 0 or an ordinary float32."""
    scale = (combined / plain).sqrt()
    is_known = plain.sqrt() >= _TINY
    is_known &= combined.isfinite() & (scale <= _LARGEST)
    scale = torch.where(scale < _TINY, 0.0, scale)
    return torch.where(is_known, scale, 1.0)


def _interpolate(
    parameters: list[Parameter], before: list[Tensor], scale: Tensor
) -> None:
    """Go ``scale`` of the way from ``before``; 1 changes no bit."""
    if not parameters:
        return
    after: list[Tensor] = list(parameters)
    weights = {p.dtype: scale.to(p.device, p.dtype) for p in after}
    torch._foreach_lerp_(
        before, after, [weights[p.dtype].expand_as(p) for p in after]
    )
    torch._foreach_copy_(after, before)
