"""Repairs for what is published upstream, one small file each.

Each module says which release it is for, does nothing where that release is
not installed or no longer needs it, and has a test that fails as soon as it
can be deleted. ``private_names`` repairs nothing: what the package needs of
MMEngine's private side is read there and nowhere else.
"""

from __future__ import annotations

from mmgmp.utils.compat.checkpoint_loader import (
    check_local_checkpoints,
    drop_config_text,
)
from mmgmp.utils.compat.config_text import format_configs_once
from mmgmp.utils.compat.cpu_processes import allow_cpu_processes
from mmgmp.utils.compat.drn import supply_drn
from mmgmp.utils.compat.mmcv import require_mmcv
from mmgmp.utils.compat.quiet_log import quiet_screen, quiet_warnings
from mmgmp.utils.compat.safe_globals import allow_mmengine_checkpoints

__all__ = [
    'allow_cpu_processes',
    'allow_mmengine_checkpoints',
    'apply_compat',
    'check_local_checkpoints',
    'drop_config_text',
    'format_configs_once',
    'quiet_screen',
    'quiet_warnings',
    'require_mmcv',
    'supply_drn',
]


def apply_compat() -> None:
    """Apply the light repairs; calling it again changes nothing.

    The rooms ``mmgmp.models`` and ``mmgmp.engine`` apply
    :func:`check_local_checkpoints`, which imports MMEngine's runner.

    Raises:
        ModuleNotFoundError: If ``mmcv`` is not installed.

    Example:
        >>> apply_compat()
    """
    quiet_warnings()
    require_mmcv()
    supply_drn()
    allow_mmengine_checkpoints()
    allow_cpu_processes()
    format_configs_once()
