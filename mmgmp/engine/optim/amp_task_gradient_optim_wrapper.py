"""Mixed-precision twin of the task-gradient wrapper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmgmp.engine.optim.task_gradient_optim_wrapper import (
    TaskGradientOptimWrapper,
)
from mmgmp.registry import OPTIM_WRAPPERS

_DTYPES = ('float16', 'bfloat16', 'float32', 'float64')


@OPTIM_WRAPPERS.register_module()
class AmpTaskGradientOptimWrapper(TaskGradientOptimWrapper):
    """Per-task gradients under autocast, with loss scaling for float16.

    All task losses carry the same scale, so the signs and quotients that the
    projection is decided from do not depend on it; the combined gradient is
    unscaled once, then clipped. A step with an overflow is skipped and leaves
    nothing behind. Unlike MMEngine's ``AmpOptimWrapper`` it also runs on a
    CPU.

    Args:
        loss_scale: ``'dynamic'``, a constant, or arguments of PyTorch's
            ``GradScaler``. ``'dynamic'`` scales only for float16, the one
            type that needs it.
        dtype: Autocast type: float16, bfloat16, or float32 / float64 for no
            autocast. None takes float16 on accelerators, bfloat16 on CPU.
        **kwargs: Arguments of :class:`TaskGradientOptimWrapper`.

    Raises:
        ValueError: If the type or the loss scale is unknown.

    Example:
        >>> w = nn.Parameter(torch.ones(1))
        >>> wrapper = AmpTaskGradientOptimWrapper(
        ...     optimizer=torch.optim.SGD([w], lr=0.1))
        >>> wrapper.cast_dtype
        torch.bfloat16

    Source: mixed precision is not treated by the paper; the invariance is
    argued in docs/decisions.md.
    """

    def __init__(
        self,
        loss_scale: str | float | Mapping[str, Any] = 'dynamic',
        dtype: str | torch.dtype | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        first = self.optimizer.param_groups[0]['params'][0]
        self._device_type = first.device.type
        self.cast_dtype = _autocast_dtype(dtype, self._device_type)
        options: dict[str, Any] = {}
        self._constant_scale: float | None = None
        enabled = True
        if loss_scale == 'dynamic':
            enabled = self.cast_dtype == torch.float16
        elif isinstance(loss_scale, (int, float)):
            self._constant_scale = float(loss_scale)
            options['init_scale'] = self._constant_scale
        elif isinstance(loss_scale, Mapping):
            options.update(loss_scale)
        else:
            raise ValueError(
                "loss_scale must be 'dynamic', a number or a dict, got "
                f'{loss_scale!r}; set optim_wrapper.loss_scale'
            )
        options.setdefault('enabled', enabled)
        self.loss_scaler = torch.amp.GradScaler(self._device_type, **options)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast; see the base class."""
        autocast = torch.autocast(
            self._device_type,
            dtype=self.cast_dtype,
            enabled=self.cast_dtype in (torch.float16, torch.bfloat16),
        )
        with super().optim_context(model), autocast:
            yield

    def step(self, **kwargs: Any) -> None:
        """Unscale, clip, and step unless a gradient is not finite.

        Args:
            **kwargs: Passed to the optimizer's ``step``.
        """
        if not any(
            p.grad is not None
            for group in self.optimizer.param_groups
            for p in group['params']
        ):
            return
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self._constant_scale)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the base class and of the loss scaler."""
        state = super().state_dict()
        state['loss_scaler'] = self.loss_scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Args:
            state_dict: From this wrapper, or from one without loss scaling.
        """
        state_dict = dict(state_dict)
        scaler_state = state_dict.pop('loss_scaler', None)
        if scaler_state and self.loss_scaler.is_enabled():
            self.loss_scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)

    def _scale(self, loss: Tensor) -> Tensor:
        scaled: Tensor = self.loss_scaler.scale(super()._scale(loss))
        return scaled

    def _unit_loss_scale(self) -> Tensor | float:
        one = torch.ones((), device=self._groups.flat[0].device)
        scale: Tensor = self.loss_scaler.scale(one)
        return scale


def _autocast_dtype(
    dtype: str | torch.dtype | None, device_type: str
) -> torch.dtype:
    if dtype is None:
        return torch.bfloat16 if device_type == 'cpu' else torch.float16
    name = str(dtype).removeprefix('torch.')
    if name not in _DTYPES:
        raise ValueError(
            f'dtype must be one of {list(_DTYPES)}, got {dtype!r}; set '
            'optim_wrapper.dtype'
        )
    resolved: torch.dtype = getattr(torch, name)
    return resolved
