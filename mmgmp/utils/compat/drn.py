"""Supply the module that MMAction2's wheel forgot.

The MMAction2 1.2.0 wheel lacks ``mmaction/models/localizers/drn``, which its
own ``localizers/__init__.py`` imports, so ``import mmaction.models`` fails
(mmaction2 issue 2714). Nothing here uses that localizer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGE = 'mmaction.models.localizers.drn'
_MODULE = f'{_PACKAGE}.drn'


class DRN:
    """Stand-in for MMAction2's DRN localizer; it cannot be built.

    Raises:
        ImportError: Always.
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise ImportError(
            'DRN must come from MMAction2, but the installed wheel lacks '
            f'{_MODULE}; install MMAction2 from its source to use DRN'
        )


class MissingDRNFinder(MetaPathFinder, Loader):
    """Serve exactly the two module names that the wheel lacks.

    It stands at the end of ``sys.meta_path``: a real module is found first.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (the protocol's)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Answer for the missing package and its one module."""
        if fullname not in (_PACKAGE, _MODULE):
            return None
        return ModuleSpec(fullname, self, is_package=fullname == _PACKAGE)

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its one name."""
        module.__dict__['DRN'] = DRN


def supply_drn() -> None:
    """Append the finder to ``sys.meta_path``, once.

    Example:
        >>> supply_drn()
        >>> import mmaction.models.localizers.drn.drn
    """
    if not any(isinstance(f, MissingDRNFinder) for f in sys.meta_path):
        sys.meta_path.append(MissingDRNFinder())
