"""Test: MMAction2's own script, with its own options."""

from __future__ import annotations

import runpy
from pathlib import Path

import mmaction

if __name__ == '__main__':
    script = Path(mmaction.__file__).parent / '.mim' / 'tools' / 'test.py'
    runpy.run_path(str(script), run_name='__main__')
