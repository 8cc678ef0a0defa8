"""Tensors that claim to be on a GPU, and a watch over what is done to them."""

from __future__ import annotations

import collections
import traceback
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mmgmp

_PACKAGE = str(Path(mmgmp.__file__).parent)
#: The number or size of what these return is known to the device alone.
_WAITING = (
    'aten::nonzero',
    'aten::equal',
    'aten::masked_select',
    'aten::_unique2',
    'aten::unique_dim',
    'aten::is_nonzero',
)
#: A 0-dim or foreach argument may be elsewhere.
_MIXING = ('aten::copy_', 'aten::_to_copy', 'aten::_fused_adam_')


class _Event:
    """Stands for a mark in the device's work."""

    def record(self) -> None:
        """Nothing is running."""

    def synchronize(self) -> None:
        """Wait for what was sent before the mark, and for nothing else."""


def pretend_cuda() -> None:
    """Make PyTorch believe in one CUDA device, for fake tensors alone.

    The library of ``guard.cpp`` has been loaded, before PyTorch was imported.
    """
    torch.cuda.Event = _Event
    torch.cuda._lazy_init = lambda: None
    torch.cuda.current_device = lambda: 0
    torch.cuda.device_count = lambda: 1
    import torch.cuda.amp.common as common

    common.amp_definitely_not_available = lambda: False


class Watch(TorchDispatchMode):
    """Count what makes the host wait, and operations across devices."""

    def __init__(self) -> None:
        super().__init__()
        self.events: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.name()
        tensors = [
            x
            for x in tree_leaves((args, kwargs))
            if isinstance(x, torch.Tensor)
        ]
        on_gpu = [x for x in tensors if x.device.type == 'cuda']
        if name == 'aten::_local_scalar_dense':
            return self._scalar(args[0], bool(on_gpu))
        if name in _WAITING and on_gpu:
            self._note(f'{name} waits')
        self._look_at_copy(name, args, kwargs, bool(on_gpu))
        if on_gpu and name not in _MIXING:
            others = [x for x in tensors if x.device.type != 'cuda']
            if any(x.ndim for x in others):
                self._note(f'{name} mixes devices')
        return func(*args, **kwargs)

    def _scalar(self, tensor: torch.Tensor, is_on_gpu: bool) -> Any:
        """A value for what has none."""
        if is_on_gpu:
            self._note('a value is read')
        constant = getattr(tensor, 'constant', None)
        if constant is not None:
            return constant.item()
        if tensor.dtype == torch.bool:
            return is_on_gpu
        # A random number of the host: small enough to begin anything.
        return 0.0 if tensor.dtype.is_floating_point else 1

    def _look_at_copy(
        self, name: str, args: Any, kwargs: Any, is_on_gpu: bool
    ) -> None:
        if name == 'aten::_to_copy' and kwargs.get('device') is not None:
            source = args[0].device.type
            target = torch.device(kwargs['device']).type
            waits = not kwargs.get('non_blocking', False)
        elif name == 'aten::copy_':
            source, target = args[1].device.type, args[0].device.type
            waits = not (kwargs.get('non_blocking') or (*args, False)[2])
            waits = waits and args[1].numel() > 0
        else:
            return
        if source != target and waits:
            self._note(f'a copy from {source} to {target} waits')

    def _note(self, what: str) -> None:
        own = 'elsewhere'
        for frame in traceback.extract_stack():
            if frame.filename.startswith(_PACKAGE):
                place = Path(frame.filename).relative_to(_PACKAGE)
                own = f'{place}:{frame.lineno} {frame.line}'
        self.events[f'{what} in {own}'] += 1
