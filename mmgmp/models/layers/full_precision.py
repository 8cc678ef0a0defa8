"""Losses and confidences are computed in float32, whatever the encoders do."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> torch.autocast:
    """Switch autocast off for a block of code.

    Logarithms of probabilities and differences of near-equal logits lose too
    much in half precision. MMEngine's mixed-precision wrapper puts the whole
    forward pass under autocast, losses included.

    Args:
        tensor: Any tensor of the block; says which device type is meant.

    Returns:
        A context manager.

    Example:
        >>> with torch.autocast('cpu', torch.bfloat16):
        ...     a = torch.ones(2, 2)
        ...     with full_precision(a):
        ...         (a @ a).dtype
        torch.float32
    """
    return torch.autocast(tensor.device.type, enabled=False)
