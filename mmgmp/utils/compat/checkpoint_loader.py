"""Let MMEngine read local checkpoints whole, and run nothing in them.

MMEngine 0.10.7 hands a local file to ``torch.load``, which compares no
checksums and believes the sizes in it: a rotten file gives wrong numbers
without a word. ``Runner.resume`` moreover executes ``meta['config']`` of a
checkpoint as Python. Not applied by ``import mmgmp``, which would have to
import MMEngine's runner, but by the rooms that every run needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mmgmp.utils.checkpoint_files import read_checkpoint


# The name is what MMEngine logs as the backend.
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a checkpoint in place of MMEngine's function of this name.

    Args:
        filename: Local file; ``~`` is the home directory.
        map_location: As in ``torch.load``.

    Returns:
        Its content, without the text that ``Runner.resume`` would run.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is not a whole checkpoint.
    """
    path = os.path.expanduser(filename)
    checkpoint = read_checkpoint(path, map_location)
    drop_config_text(checkpoint)
    return checkpoint


def drop_config_text(checkpoint: Any) -> None:
    """Take out the text that ``Runner.resume`` would execute.

    Args:
        checkpoint: What was read.

    Example:
        >>> checkpoint = {'meta': {'config': 'print(1)', 'epoch': 1}}
        >>> drop_config_text(checkpoint)
        >>> checkpoint
        {'meta': {'epoch': 1}}
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, Mapping) else None
    if isinstance(meta, dict):
        meta.pop('config', None)


def check_local_checkpoints() -> None:
    """Make :func:`load_from_local` MMEngine's loader of local files.

    Example:
        >>> check_local_checkpoints()
    """
    from mmengine.runner import CheckpointLoader

    CheckpointLoader.register_scheme('', load_from_local, force=True)
