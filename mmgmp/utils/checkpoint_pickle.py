"""Say what the pickle of a checkpoint would build, without building it.

PyTorch's restricted unpickler runs no foreign code, but it believes numbers:
a few bytes can ask it for an array of any size, for text that doubles with
every step, or for a storage that is longer than what the file holds. Here the
pickle is followed step by step, with the sizes in place of the objects.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable
from typing import IO, Any

from mmgmp.utils.checkpoint_calls import (
    ITEM_SIZES,
    OBJECT,
    ListState,
    PickleCalls,
    Storage,
    is_flat,
    whole,
)

#: Most steps of a pickle; the objects that they make stay below 0.5 GiB.
MAX_STEPS = 2_000_000
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
_WITHOUT_EFFECT = ('PROTO', 'STOP')


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
        self._calls = PickleCalls(largest)
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
        elif name not in _WITHOUT_EFFECT:
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

    def _mark(self, value: Any) -> None:  # noqa: ARG002
        self._outer.append(self._stack)
        self._stack = []

    def _tuple(self, value: Any) -> None:  # noqa: ARG002
        items = tuple(self._since_mark())
        self._stack.append(items)

    def _new_list(self, value: Any) -> None:  # noqa: ARG002
        self._stack.append(ListState())

    def _new_object(self, value: Any) -> None:  # noqa: ARG002
        self._stack.append(OBJECT)

    def _global(self, value: str) -> None:
        self._stack.append(self._calls.named(value))

    def _append(self, value: Any) -> None:  # noqa: ARG002
        self._extend([self._stack.pop()])

    def _appends(self, value: Any) -> None:  # noqa: ARG002
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], ListState):
            raise TypeError('the pickle appends to what is no list')
        if not all(map(is_flat, items)):
            self._stack[-1].is_flat = False

    def _set_item(self, value: Any) -> None:  # noqa: ARG002
        self._check_keys(self._last(2)[:1])
        del self._stack[-2:]

    def _set_items(self, value: Any) -> None:  # noqa: ARG002
        self._check_keys(self._since_mark()[::2])

    def _check_keys(self, keys: Iterable[Any]) -> None:
        # Nested tuples can take for ever to be hashed.
        if not all(map(is_flat, keys)):
            raise ValueError('holds a dict with keys that are no names')

    def _build(self, value: Any) -> None:  # noqa: ARG002
        if self._last(2)[0] is not OBJECT:
            raise ValueError('changes what it has not made')
        self._stack.pop()

    def _persistent(self, value: Any) -> None:  # noqa: ARG002
        kind, storage, key, _, count, *view = self._stack.pop()
        name = storage.name.rpartition('.')[2].removesuffix('Storage')
        if kind != 'storage' or not isinstance(key, str):
            raise ValueError(f'refers to a {kind!r}')
        size = ITEM_SIZES[name]
        self.storages[key] = max(
            self.storages.get(key, 0), whole(count) * size
        )
        if view and view[0] is not None:
            _, start, length = view[0]
            if whole(start) + whole(length) > count:
                raise ValueError(f'looks beyond the end of storage {key}')
            count = length
        self._stack.append(Storage(size, count))

    def _reduce(self, value: Any) -> None:  # noqa: ARG002
        function, arguments = self._last(2)
        del self._stack[-2:]
        self._stack.append(self._calls.call(function.name, tuple(arguments)))


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
    'REDUCE': PickleSizes._reduce,
    'SETITEM': PickleSizes._set_item,
    'SETITEMS': PickleSizes._set_items,
    'TUPLE': PickleSizes._tuple,
}
