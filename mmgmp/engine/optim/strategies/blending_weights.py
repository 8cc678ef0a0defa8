"""How Grad-Blending weights the losses of several heads."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.utils.checks import check_choice

_NEGATIVE = ('clip', 'abs')
_FLOOR = 1e-6


def check_negative(negative: str) -> None:
    """Refuse an unknown treatment of heads that generalise worse.

    Args:
        negative: ``'clip'`` or ``'abs'``.

    Raises:
        ValueError: If it is another word.
    """
    check_choice(
        'negative', negative, _NEGATIVE, 'set negative of GradBlendingHook'
    )


def blending_weights(
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    previous: Tensor | None = None,
    negative: str = 'clip',
) -> Tensor:
    """Weights of the heads from losses at the ends of a window of epochs.

    With G the validation loss gained and O the growth of the gap between
    validation and training loss, ``w`` is ``G / O^2``, normalised to sum 1. A
    head that overfits quickly gets little weight.

    Args:
        train: Mean training losses at the start and the end, ``(H,)`` each.
        val: Mean validation losses at the start and the end, ``(H,)`` each.
        previous: Weights to keep where no head has gained anything or a
            loss is not finite; None stands for equal ones.
        negative: ``'clip'`` gives weight 0 to a head whose validation loss
            has grown; ``'abs'`` takes ``|G|``, as public re-implementations
            do.

    Returns:
        Tensor of shape ``(H,)``, >= 0, sum 1.

    Raises:
        ValueError: If ``negative`` is unknown.

    Example:
        >>> start = torch.tensor([[2., 2., 2.2], [2.2, 2.1, 2.3]])
        >>> end = torch.tensor([[1., 1.4, 1.9], [1.6, 1.7, 2.2]])
        >>> blending_weights((start[0], end[0]), (start[1], end[1]))
        tensor([0.2308, 0.6154, 0.1538])

    Source: What Makes Training Multi-Modal Classification Networks Hard?,
    Wang et al., CVPR 2020 (arXiv 1905.12681), Eq. (3) and (8). The floor of
    1e-6 under O^2 and the treatment of G <= 0 are [choice].
    """
    check_negative(negative)
    gain = val[0] - val[1]
    overfitting = (val[1] - train[1]) - (val[0] - train[0])
    gain = gain.abs() if negative == 'abs' else gain.clamp(min=0)
    raw = gain / overfitting.square().clamp(min=_FLOOR)
    if previous is None:
        previous = torch.full_like(raw, 1 / len(raw))
    total = raw.sum()
    usable = (total > 0) & total.isfinite()
    return torch.where(usable, raw / total.clamp(min=_FLOOR**4), previous)
