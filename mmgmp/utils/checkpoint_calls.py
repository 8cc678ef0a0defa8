"""What the pickle of a checkpoint may name and call.

The objects are stood in for by what is known of them: names, and the sizes of
storages and tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

#: Bytes of an item by the name of its storage type.
ITEM_SIZES = {
    'BFloat16': 2, 'Bool': 1, 'Byte': 1, 'Char': 1, 'ComplexDouble': 16,
    'ComplexFloat': 8, 'Double': 8, 'Float': 4, 'Half': 2, 'Int': 4,
    'Long': 8, 'QInt32': 4, 'QInt8': 1, 'QUInt2x4': 1, 'QUInt4x2': 1,
    'QUInt8': 1, 'Short': 2, 'Untyped': 1,
}  # fmt: skip
# Takes a size from the pickle, and so must not be called by it.
_NEVER_CALLED = ('numpy.ndarray', 'torch.Tensor')
_CALLED = (
    'builtins.complex',
    'torch.Size',
    'torch._utils._rebuild_parameter',
    'torch._utils._rebuild_parameter_with_state',
    'torch.device',
    'torch.nn.parameter.Parameter',
    'torch.serialization._get_layout',
    'torch.torch_version.TorchVersion',
)
_CONTAINERS = (
    'builtins.set',
    'collections.Counter',
    'collections.OrderedDict',
)
_REBUILD_TENSOR = 'torch._utils._rebuild_tensor'
_TENSORS = (_REBUILD_TENSOR, f'{_REBUILD_TENSOR}_v2', f'{_REBUILD_TENSOR}_v3')
_ENCODE = '_codecs.encode'


@dataclass(frozen=True)
class GlobalName:
    """Stands for what a pickle names, a class or a function."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Part of the file that tensors look at; ``count`` items of it."""

    item_size: int
    count: int


@dataclass
class ListState:
    """A list; whether looking all its items up takes little time."""

    is_flat: bool = True


#: Stands for any other object.
OBJECT = object()


class PickleCalls:
    """Judges what a pickle names and calls.

    Args:
        largest: Most bytes that a tensor may have which is larger than its
            storage, as an expanded one is.

    Example:
        >>> PickleCalls(100).named('collections OrderedDict').name
        'collections.OrderedDict'
        >>> PickleCalls(100).named('os system')
        Traceback (most recent call last):
            ...
        ValueError: holds os.system, which no checkpoint needs
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._allowed = _allowed_names()

    def named(self, value: str) -> GlobalName:
        """Look at a global name.

        Args:
            value: Module and name, with a blank between them.

        Raises:
            ValueError: If no checkpoint needs it.
        """
        module, _, name = value.partition(' ')
        module = 'builtins' if module == '__builtin__' else module
        full = f'{module}.{name}'
        if full not in self._allowed and not _is_torch_value(module, name):
            raise ValueError(f'holds {full}, which no checkpoint needs')
        return GlobalName(full)

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Look at a call.

        Args:
            name: Full name of what is called.
            arguments: What stands for its arguments.

        Returns:
            What stands for its result.

        Raises:
            ValueError: If it may not be called, or not with these.
        """
        if name in _TENSORS:
            self._check_tensor(name, *arguments)
        elif name == _ENCODE:
            if not _is_text(arguments[0]) or arguments[1] != 'latin1':
                raise ValueError(f'encodes as {arguments[1:]!r}')
            return arguments[0].encode('latin1')
        elif name in _CONTAINERS:
            if not all(x is OBJECT or is_flat(x) for x in arguments):
                raise ValueError(f'holds a {name} of what are no names')
        elif name.endswith('._reconstruct'):
            if arguments[1] != (0,):
                raise ValueError(f'asks for an array {arguments[1]!r}')
        elif name == 'numpy.dtype':
            if not _is_text(arguments[0]) or len(arguments[0]) > 8:
                raise ValueError('holds an array of unusual items')
        elif name not in self._allowed or name in _NEVER_CALLED:
            raise ValueError(f'calls {name}, which no checkpoint needs')
        return OBJECT

    def _check_tensor(
        self,
        name: str,
        storage: Storage,
        start: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *more: Any,
    ) -> None:
        item_size = storage.item_size
        if name.endswith('_v3'):
            dtype = getattr(torch, more[2].name.removeprefix('torch.'))
            item_size = dtype.itemsize
        held = storage.count * storage.item_size
        number = math.prod(map(whole, shape))
        end = whole(start) + sum(
            (size - 1) * whole(stride)
            for size, stride in zip(shape, strides, strict=True)
        )
        if number and (end + 1) * item_size > held:
            raise ValueError(
                f'holds a tensor of shape {shape} that is larger than its '
                f'{held} bytes'
            )
        if number * item_size > max(held, self._largest):
            raise ValueError(
                f'expands {held} bytes to a tensor of shape {shape}'
            )


def _allowed_names() -> set[str]:
    """What may be called: the usual, and what was allowed by the user."""
    names = {*_CALLED, *_CONTAINERS, *_TENSORS, _ENCODE}
    for entry in torch.serialization.get_safe_globals():
        if isinstance(entry, tuple):
            names.add(entry[1])
        else:
            names.add(f'{entry.__module__}.{entry.__qualname__}')
    return names


def _is_torch_value(module: str, name: str) -> bool:
    """Types of storages and numbers, which are arguments only."""
    if name.endswith('Storage'):
        is_torch = module in ('torch', 'torch.cuda', 'torch.storage')
        return is_torch and name.removesuffix('Storage') in ITEM_SIZES
    if module != 'torch':
        return False
    return isinstance(getattr(torch, name, None), torch.dtype)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, bytes, int, float))


def is_flat(value: Any) -> bool:
    """Whether looking a value up takes little time.

    Args:
        value: What stands for it.
    """
    if isinstance(value, ListState):
        return value.is_flat
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return _is_plain(value)


def whole(number: Any) -> int:
    """Return a size that a pickle gives.

    Args:
        number: What stands in its place.

    Raises:
        ValueError: If it is no whole number from 0 on.
    """
    if type(number) is not int or number < 0:
        raise ValueError(f'has {number!r} in place of a size')
    return number
