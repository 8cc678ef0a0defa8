"""Run one of MMAction2's other scripts with this package loaded.

The scripts in MMAction2's ``tools`` do not all read ``custom_imports``, and
the published MMAction2 needs the repairs that ``import mmgmp`` makes::

    python tools/stock.py analysis_tools/confusion_matrix.py CONFIG CHECKPOINT

Some of them open pickles, which can run code: give them files of your own.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import mmaction

import mmgmp  # noqa: F401 (imported for its repairs and registrations)
from mmgmp.utils.checks import choice_text

TOOLS = Path(mmaction.__file__).parent / '.mim' / 'tools'


def main(arguments: list[str]) -> None:
    """Run ``arguments[0]``, a path under MMAction2's tools, on the rest."""
    scripts = sorted(
        path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob('*.py')
    )
    name = arguments[0] if arguments else None
    if name in (None, '-h', '--help'):
        print(__doc__)
        print('Scripts:', *scripts, sep='\n  ')
        return
    if name not in scripts:
        sys.exit(
            choice_text('SCRIPT', name, scripts, 'run tools/stock.py --help')
        )
    sys.argv = arguments
    runpy.run_path(str(TOOLS / name), run_name='__main__')


if __name__ == '__main__':
    main(sys.argv[1:])
