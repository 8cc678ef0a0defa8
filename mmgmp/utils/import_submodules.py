"""Import every module of a plug-in room."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module


def import_submodules(package_name: str, path: Iterable[str]) -> list[str]:
    """Import all direct submodules of a package, in alphabetical order.

    A plug-in room calls it in its ``__init__.py``, so that adding a piece is
    adding one file. Nothing is caught: a broken file stops the import of the
    room with its own traceback instead of going missing from a registry.

    Args:
        package_name: The package's ``__name__``.
        path: The package's ``__path__``.

    Returns:
        Full names of the imported modules, sorted.

    Example:
        >>> from mmgmp.utils import compat
        >>> names = import_submodules(compat.__name__, compat.__path__)
        >>> 'mmgmp.utils.compat.safe_globals' in names
        True
    """
    names = sorted(module.name for module in pkgutil.iter_modules(path))
    return [import_module(f'{package_name}.{name}').__name__ for name in names]
