"""How losses are scaled before they are differentiated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

#: Where a scaler's state is in the state of a wrapper, as in MMEngine's.
KEY = 'loss_scaler'


class LossScaling:
    """No scaling, which full precision needs none of.

    Example:
        >>> scaling = LossScaling()
        >>> scaling.unit(torch.device('cpu')), scaling.state_dict()
        (1.0, {})
    """

    def scale(self, loss: Tensor) -> Tensor:
        """Scale a loss."""
        return loss

    def unit(self, device: torch.device) -> Tensor | float:
        """Return the factor by which gradients are too large.

        Args:
            device: Where a tensor is wanted.
        """
        del device
        return 1.0

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide what is in ``.grad``, before it is clipped."""

    def step(self, optimizer: torch.optim.Optimizer, **kwargs: Any) -> None:
        """Take a step with what is in ``.grad``."""
        optimizer.step(**kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs, to be merged into the wrapper's."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Restore it.

        Args:
            state: What is under :data:`KEY`; None from a run without.
        """


class GradScaling(LossScaling):
    """PyTorch's ``GradScaler``, which skips a step with an overflow.

    Args:
        scaler: Enabled or not.
        constant: Scale that never changes, or None for a dynamic one.

    Example:
        >>> scaler = torch.amp.GradScaler('cpu', init_scale=4.)
        >>> scaling = GradScaling(scaler)
        >>> scaling.unit(torch.device('cpu'))
        tensor(4.)
    """

    def __init__(
        self, scaler: torch.amp.GradScaler, constant: float | None = None
    ) -> None:
        self._scaler = scaler
        self._constant = constant

    def scale(self, loss: Tensor) -> Tensor:
        """Scale a loss."""
        scaled: Tensor = self._scaler.scale(loss)
        return scaled

    def unit(self, device: torch.device) -> Tensor | float:
        """Return the scale, 0-dim; see the base class."""
        return self.scale(torch.ones((), device=device))

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide what is in ``.grad``; see the base class."""
        if _has_gradients(optimizer):
            self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, **kwargs: Any) -> None:
        """Step unless a gradient is not finite, then adapt the scale."""
        # The scaler refuses a step in which it has seen no gradient at all.
        if _has_gradients(optimizer):
            self._scaler.step(optimizer, **kwargs)
            self._scaler.update(self._constant)

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and its history."""
        return {KEY: self._scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Restore them; see the base class."""
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(dict(state))


def _has_gradients(optimizer: torch.optim.Optimizer) -> bool:
    return any(
        p.grad is not None
        for group in optimizer.param_groups
        for p in group['params']
    )
