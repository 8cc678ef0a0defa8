"""Read the data out of a pickle without running what it names."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
from collections.abc import Collection
from functools import lru_cache
from typing import Any

# What reading and interpreting damaged data raises.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
_PLACES = ('PUT', 'BINPUT', 'LONG_BINPUT')


class StandIn:
    """An object that remembers how it was made and does nothing else.

    Args:
        *args: What the pickle would have made it from.
    """

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> StandIn:
        """Make it; the unpickler does not always call ``__init__``."""
        self = super().__new__(cls)
        self.args, self.state = args, None
        return self

    def __setstate__(self, state: Any) -> None:
        """Keep the state that the pickle holds."""
        self.state = state


class RefusedGlobalError(pickle.UnpicklingError):
    """A pickle names something that may not be in it."""


class _InertUnpickler(pickle.Unpickler):
    """Unpickler that knows the allowed names only, and those by stand-ins."""

    allowed: Collection[tuple[str, str]] = ()

    def find_class(self, module: str, name: str) -> type[StandIn]:
        """Give the stand-in of an allowed global, refuse any other."""
        if (module, name) not in self.allowed:
            raise RefusedGlobalError(f'it names the global {module}.{name}')
        return _stand_in(module, name)

    def persistent_load(self, pid: Any) -> StandIn:
        """Keep the name of something that is stored elsewhere."""
        return StandIn(pid)


@lru_cache(maxsize=100)
def _stand_in(module: str, name: str) -> type[StandIn]:
    return type(name, (StandIn,), {'__module__': module})


def load_inert(
    content: bytes | io.BytesIO, allowed: Collection[tuple[str, str]]
) -> Any:
    """Load a pickle; what is called in it becomes a :class:`StandIn`.

    A pickle is a program: loading one runs what it names. Here nothing is
    looked up, so nothing can run.

    Args:
        content: The pickle, or a stream that stands at its beginning and is
            left at its end.
        allowed: Module and name of each global that it may name.

    Returns:
        Its content, with a stand-in of the same class name for each call.

    Raises:
        RefusedGlobalError: If it names any other global.
        Exception: One of :data:`DAMAGE` if it is damaged.

    Example:
        >>> load_inert(pickle.dumps([1, 'a']), ())
        [1, 'a']
        >>> load_inert(pickle.dumps(print), ())
        Traceback (most recent call last):
        mmgmp.utils.inert_pickle.RefusedGlobalError: it names the global \
builtins.print
    """
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    start, size = stream.tell(), stream.getbuffer().nbytes
    for code, argument, _ in pickletools.genops(stream):
        # The unpickler makes room for as many objects as this says.
        if code.name in _PLACES and int(argument or 0) > size:
            raise pickle.UnpicklingError(f'object number {argument} of few')
    stream.seek(start)
    unpickler = _InertUnpickler(stream)
    unpickler.allowed = allowed
    return unpickler.load()


def read_inert(
    path: str | os.PathLike[str], allowed: Collection[tuple[str, str]]
) -> Any:
    """Load the pickle in a file, see :func:`load_inert`.

    Args:
        path: The file.
        allowed: Globals that it may name.

    Returns:
        Its content.
    """
    with open(path, 'rb') as file:
        return load_inert(file.read(), allowed)
