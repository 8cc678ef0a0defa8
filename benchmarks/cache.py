"""An epoch from mp4 and wav against one from a feature cache.

    python benchmarks/cache.py --clips 8 --batch 4 --rounds 3 --workers 0

At the paper's size (SlowFast-R101 on 32 x 224 x 224, ResNet-18 on 257 x 1004,
layer4 and heads trained), on clips that it renders itself: 10 seconds of
340 x 256 H.264 and 16 kHz sound, as HAC's are. Weights are random: no time
depends on them. Prints a Markdown table and the raw numbers as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from epochs import (
    METHODS,
    Training,
    by_turns,
    read,
    render,
    timed_loader,
    write_weights,
)
from mmengine.registry import DefaultScope

from mmgmp.apis.feature_cache import fill_cache


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Fill a cache, then time epochs of all variants by turns."""
    render(folder, args.clips)
    sizes = (args.batch, args.workers)
    write_weights(read('ERM', folder, *sizes), folder)
    start = time.perf_counter()
    report = fill_cache(
        read('ERM', folder, *sizes), folder / 'cache', dtype=args.dtype
    )
    filling = time.perf_counter() - start
    variants = {}
    for method in METHODS:
        for name, options in (
            ('files', {}),
            ('cache', {'cache': str(folder / 'cache')}),
        ):
            config = read(method, folder, *sizes, **options)
            variants[f'{method}, {name}'] = partial(
                Training(config).epoch, timed_loader(config)
            )
    medians = by_turns(variants, args.rounds)
    return {
        'options': vars(args),
        'torch': torch.__version__,
        'threads': torch.get_num_threads(),
        'bytes_per_view': report.bytes_per_view['train'],
        'seconds_per_filled_view': filling / (2 * args.clips),
        'medians': medians,
    }


def print_table(found: dict[str, Any], clips: int) -> None:
    """Print what was measured."""
    print('| | epoch [s] | clips/s | data [s] | frozen [s] | rest [s] | x |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    medians = found['medians']
    for name, taken in medians.items():
        method = name.partition(',')[0]
        gain = medians[f'{method}, files']['epoch'] / taken['epoch']
        waiting, frozen = taken['waiting'], taken['frozen']
        rest = taken['epoch'] - waiting - frozen
        cells = [f'{value:.2f}' for value in (waiting, frozen, rest)]
        print(
            f'| {name} | {taken["epoch"]:.2f} | {clips / taken["epoch"]:.2f} '
            f'| {" | ".join(cells)} | {gain:.2f} |'
        )
    sizes = found['bytes_per_view'].items()
    print(', '.join(f'{m} {b / 1e6:.2f} MB' for m, b in sizes), 'per view')
    print(f'{found["seconds_per_filled_view"]:.2f} s to fill a view')


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--clips', type=int, default=8)
    add('--batch', type=int, default=4)
    add('--rounds', type=int, default=3)
    add('--workers', type=int, default=0)
    add('--dtype', default='float32')
    args = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory() as folder,
        DefaultScope.overwrite_default_scope('mmaction'),
    ):
        found = measure(Path(folder), args)
    print_table(found, args.clips // args.batch * args.batch)
    print(json.dumps(found))
    return 0


if __name__ == '__main__':
    sys.exit(main())
