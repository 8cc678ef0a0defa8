"""Train: MMAction2's own script, with its own options."""

from __future__ import annotations

from _stock_script import run

if __name__ == '__main__':
    run('train.py')
