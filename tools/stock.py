"""Run one of MMAction2's other scripts with this package loaded.

The scripts in MMAction2's ``tools`` do not all read ``custom_imports``, none
of them knows a protocol, and the published MMAction2 needs the repairs that
``import mmgmp`` makes::

    python tools/stock.py analysis_tools/confusion_matrix.py CONFIG CHECKPOINT

They are given the config with its protocol written out and ``--cfg-options``
in it. Where a script cannot work on several modalities, the one of the same
name in ``tools/analysis`` runs in its place (docs/stock_tools.md). Some of
them open pickles, which can run code: give them files of your own.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path

from _stock_script import TOOLS, complete, write_out

import mmgmp  # noqa: F401 (imported for its repairs and registrations)
from mmgmp.utils.checks import choice_text

OWN = Path(__file__).resolve().parent / 'analysis'
#: Scripts that cannot work here, and why.
REPLACED = {
    'analysis_tools/analyze_logs.py': 'that one wants a mode in each line',
    'analysis_tools/get_flops.py': 'that one gives a model one tensor',
    'visualizations/browse_dataset.py': 'that one wants one list of pictures',
}


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
    words = [complete(word) for word in arguments[1:]]
    if name in REPLACED:
        path = OWN / Path(name).name
        print(
            f'stock: {path.parent.name}/{path.name} stands in for '
            f"MMAction2's {name}: {REPLACED[name]}",
            file=sys.stderr,
        )
        sys.argv = [str(path), *words]
        runpy.run_path(str(path), run_name='__main__')
        return
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [name, *write_out(words, Path(folder))]
        runpy.run_path(str(TOOLS / name), run_name='__main__')


if __name__ == '__main__':
    main(sys.argv[1:])
