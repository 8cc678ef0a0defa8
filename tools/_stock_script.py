"""What ``train.py`` and ``test.py`` share: MMAction2's script by its name."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import mmaction


def complete(word: str) -> str:
    """Add the ending to a config that is named without it.

    ``mim search`` prints names without an ending, and ``mim train`` hands on
    what it is given.

    Args:
        word: A word of the command line.

    Returns:
        The word, or the path of a config of that name.
    """
    path = Path(f'{word}.py')
    is_config = 'configs' in path.parts and path.is_file()
    return str(path) if is_config else word


def run(name: str) -> None:
    """Run MMAction2's own script on this process's command line.

    Args:
        name: ``train.py`` or ``test.py``.
    """
    sys.argv[1:] = [complete(word) for word in sys.argv[1:]]
    script = Path(mmaction.__file__).parent / '.mim' / 'tools' / name
    runpy.run_path(str(script), run_name='__main__')
