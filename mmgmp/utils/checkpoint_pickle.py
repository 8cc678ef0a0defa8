"""Say what the pickle of a checkpoint would build, without building it.

PyTorch's restricted unpickler runs no foreign code, but it believes numbers:
a few bytes can ask it for an array of any size, for text that doubles with
every step, or for a storage that is longer than what the file holds. Here the
pickle is followed step by step, with the sizes in place of the objects.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import torch

#: Most steps of a pickle; the objects that they make stay below 0.5 GiB.
MAX_STEPS = 2_000_000
_ITEM_SIZES = {
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
_RECONSTRUCT = ('numpy.core.multiarray', 'numpy._core.multiarray')
_ENCODE = '_codecs.encode'
_VALUES = {
    'BINFLOAT', 'BININT', 'BININT1', 'BININT2', 'BINUNICODE', 'LONG1',
    'SHORT_BINSTRING',
}  # fmt: skip
_CONSTANTS: dict[str, Any] = {
    'EMPTY_TUPLE': (),
    'NEWFALSE': False,
    'NEWTRUE': True,
    'NONE': None,
}
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    """Part of the file that tensors look at; ``count`` items of it."""

    item_size: int
    count: int


@dataclass
class _List:
    """A list; whether looking all its items up takes little time."""

    is_flat: bool = True


_OBJECT = object()


class PickleSizes:
    """Follows pickles and adds up what they claim.

    Args:
        largest: Most bytes that a tensor may have which is larger than its
            storage, as an expanded one is.

    Attributes:
        storages: Bytes of each storage by its key.

    Example:
        >>> import io, pickle
        >>> sizes = PickleSizes(100)
        >>> sizes.follow(io.BytesIO(pickle.dumps([1, 2], protocol=2)))
        >>> sizes.storages
        {}
    """

    def __init__(self, largest: int) -> None:
        self.storages: dict[str, int] = {}
        self._largest = largest
        self._allowed = _allowed_names()
        self._steps = 0

    def follow(self, stream: IO[bytes]) -> None:
        """Follow one pickle to its end.

        Args:
            stream: File at the beginning of the pickle; afterwards behind it.

        Raises:
            ValueError: If it names what no checkpoint needs or claims what
                the file cannot hold.
            IndexError, KeyError, TypeError: If it is damaged.
        """
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        for opcode, value, _ in pickletools.genops(stream):
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise ValueError(f'has more than {MAX_STEPS} parts')
            self._step(opcode.name, value)

    def _step(self, name: str, value: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(value)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(self._last(_TUPLES[name]))]
        elif name.endswith('BINPUT'):
            self._memo[value] = stack[-1]
        elif name.endswith('BINGET'):
            stack.append(self._memo[value])
        else:
            handler = _HANDLERS.get(name)
            if handler is None:
                raise ValueError(f'has a step {name} in its pickle')
            handler(self, value)

    def _last(self, number: int) -> list[Any]:
        if len(self._stack) < number:
            raise IndexError('the pickle takes more than it has')
        return self._stack[-number:]

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    # -- steps ------------------------------------------------------------

    def _ignore(self, value: Any) -> None:
        pass

    def _mark(self, value: Any) -> None:  # noqa: ARG002
        self._outer.append(self._stack)
        self._stack = []

    def _tuple(self, value: Any) -> None:  # noqa: ARG002
        items = tuple(self._since_mark())
        self._stack.append(items)

    def _new_list(self, value: Any) -> None:  # noqa: ARG002
        self._stack.append(_List())

    def _new_object(self, value: Any) -> None:  # noqa: ARG002
        self._stack.append(_OBJECT)

    def _global(self, value: str) -> None:
        module, _, name = value.partition(' ')
        module = 'builtins' if module == '__builtin__' else module
        full = f'{module}.{name}'
        if full not in self._allowed and not _is_torch_value(module, name):
            raise ValueError(f'holds {full}, which no checkpoint needs')
        self._stack.append(_Global(full))

    def _append(self, value: Any) -> None:  # noqa: ARG002
        self._extend([self._stack.pop()])

    def _appends(self, value: Any) -> None:  # noqa: ARG002
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], _List):
            raise TypeError('the pickle appends to what is no list')
        if not all(map(_is_flat, items)):
            self._stack[-1].is_flat = False

    def _set_item(self, value: Any) -> None:  # noqa: ARG002
        self._check_keys(self._last(2)[:1])
        del self._stack[-2:]

    def _set_items(self, value: Any) -> None:  # noqa: ARG002
        self._check_keys(self._since_mark()[::2])

    def _check_keys(self, keys: Iterable[Any]) -> None:
        # Nested tuples can take for ever to be hashed.
        if not all(map(_is_flat, keys)):
            raise ValueError('holds a dict with keys that are no names')

    def _build(self, value: Any) -> None:  # noqa: ARG002
        if self._last(2)[0] is not _OBJECT:
            raise ValueError('changes what it has not made')
        self._stack.pop()

    def _persistent(self, value: Any) -> None:  # noqa: ARG002
        kind, storage, key, _, count, *view = self._stack.pop()
        name = storage.name.rpartition('.')[2].removesuffix('Storage')
        if kind != 'storage' or not isinstance(key, str):
            raise ValueError(f'refers to a {kind!r}')
        size = _ITEM_SIZES[name]
        self.storages[key] = max(
            self.storages.get(key, 0), _whole(count) * size
        )
        if view and view[0] is not None:
            _, start, length = view[0]
            if _whole(start) + _whole(length) > count:
                raise ValueError(f'looks beyond the end of storage {key}')
            count = length
        self._stack.append(_Storage(size, count))

    def _reduce(self, value: Any) -> None:  # noqa: ARG002
        function, arguments = self._last(2)
        del self._stack[-2:]
        self._stack.append(self._call(function.name, tuple(arguments)))

    def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name in _TENSORS:
            self._check_tensor(name, *arguments)
        elif name == _ENCODE:
            if not _is_text(arguments[0]) or arguments[1] != 'latin1':
                raise ValueError(f'encodes as {arguments[1:]!r}')
            return arguments[0].encode('latin1')
        elif name in _CONTAINERS:
            if not all(x is _OBJECT or _is_flat(x) for x in arguments):
                raise ValueError(f'holds a {name} of what are no names')
        elif name.endswith('._reconstruct'):
            if arguments[1] != (0,):
                raise ValueError(f'asks for an array {arguments[1]!r}')
        elif name == 'numpy.dtype':
            if not _is_text(arguments[0]) or len(arguments[0]) > 8:
                raise ValueError('holds an array of unusual items')
        elif name not in self._allowed or name in _NEVER_CALLED:
            raise ValueError(f'calls {name}, which no checkpoint needs')
        return _OBJECT

    def _check_tensor(
        self,
        name: str,
        storage: _Storage,
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
        number = math.prod(map(_whole, shape))
        end = _whole(start) + sum(
            (size - 1) * _whole(stride)
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


_HANDLERS = {
    'APPEND': PickleSizes._append,
    'APPENDS': PickleSizes._appends,
    'BINPERSID': PickleSizes._persistent,
    'BUILD': PickleSizes._build,
    'EMPTY_DICT': PickleSizes._new_object,
    'EMPTY_LIST': PickleSizes._new_list,
    'EMPTY_SET': PickleSizes._new_object,
    'GLOBAL': PickleSizes._global,
    'MARK': PickleSizes._mark,
    'NEWOBJ': PickleSizes._reduce,
    'PROTO': PickleSizes._ignore,
    'REDUCE': PickleSizes._reduce,
    'SETITEM': PickleSizes._set_item,
    'SETITEMS': PickleSizes._set_items,
    'STOP': PickleSizes._ignore,
    'TUPLE': PickleSizes._tuple,
}


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
        return is_torch and name.removesuffix('Storage') in _ITEM_SIZES
    if module != 'torch':
        return False
    return isinstance(getattr(torch, name, None), torch.dtype)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, bytes, int, float))


def _is_flat(value: Any) -> bool:
    """Whether looking a value up takes little time."""
    if isinstance(value, _List):
        return value.is_flat
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return _is_plain(value)


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f'has {number!r} in place of a size')
    return number
