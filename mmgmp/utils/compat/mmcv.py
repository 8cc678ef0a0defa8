"""Say what to install when ``mmcv`` is missing.

``mmcv`` and ``mmcv-lite`` own the same import name and folder, so the package
can require neither without breaking the environments that hold the other.
"""

from __future__ import annotations

from importlib.util import find_spec


def require_mmcv() -> None:
    """Check that some build of MMCV can be imported.

    Raises:
        ModuleNotFoundError: If neither ``mmcv`` nor ``mmcv-lite`` is there.

    Example:
        >>> require_mmcv()
    """
    if find_spec('mmcv') is None:
        raise ModuleNotFoundError(
            'mmcv must be importable for mmgmp and MMAction2, but it is not '
            'installed; run `pip install "mmgmp[lite]"` (mmcv-lite, enough '
            'for this package) or install the full mmcv >=2.0.0, <2.2.0',
            name='mmcv',
        )
