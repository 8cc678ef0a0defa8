"""Compute what frozen encoder stages make of a corpus, once for all trainings.

    python tools/cache_features.py configs/gmp/gmp_hac.py --views 4 \
        --out caches/hac
    python tools/train.py configs/mmdg/cmrf_hac.py \
        --cfg-options protocol.cache=caches/hac protocol.target=cartoon

Sends V views of every clip through the training pipeline, and one through the
test pipeline, into the frozen stages of each modality's encoder. One cache
serves all folds, methods and strategies on the same corpus and encoders
(docs/feature_cache.md). Says what it needs on the disk before it starts. A
call that was stopped is gone on with by the same call.

Exit status: 0 the cache is filled, 2 it cannot be, 130 it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import Config, DictAction

from mmgmp.apis.feature_cache import DTYPES, FillReport, fill_cache


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', help='config file of a training')
    add('--out', required=True, help='folder of the cache')
    add(
        '--views',
        type=int,
        default=1,
        help='views of each training clip; default %(default)s',
    )
    add('--dtype', choices=list(DTYPES), default='float32')
    add('--device', help='default: the GPU if there is one')
    add('--workers', type=int, help='processes that read; default: config')
    add(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes, as for tools/train.py',
    )
    return parser.parse_args(argv)


def announce(report: FillReport) -> None:
    """Print what the cache takes."""
    for part, sizes in report.bytes_per_view.items():
        parts = ' + '.join(f'{m} {b / 1e6:.2f}' for m, b in sizes.items())
        print(
            f'{part}: {report.num_clips[part]} clips x '
            f'{report.num_views[part]} views, {parts} MB each'
        )
    print(
        f'{report.num_bytes / 1e9:.3f} GB, '
        f'{report.num_bytes_left / 1e9:.3f} GB of them to be computed',
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache."""
    args = parse(argv)
    try:
        config = Config.fromfile(args.config)
        config.merge_from_dict(args.cfg_options or {})
        report = fill_cache(
            config,
            args.out,
            args.views,
            args.dtype,
            args.device,
            args.workers,
            announce,
            show_progress=sys.stderr.isatty(),
        )
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        print(f'cache_features: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('Stopped; the same call goes on.', file=sys.stderr)
        return 130
    print(f'{args.out} is filled; use it with protocol.cache={args.out}')
    if report.unreadable:
        print(f'{len(report.unreadable)} clips could not be read: ', end='')
        print(', '.join(report.unreadable))
    return 0


if __name__ == '__main__':
    sys.exit(main())
