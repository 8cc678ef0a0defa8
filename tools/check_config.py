"""Check a config against the annotation files that it names.

    python tools/check_config.py configs/gmp/....py --data-root data/HAC \
        --cfg-options train_dataloader.batch_size=32

Finds what would stop a training or spoil it without a word: a target among
the sources, a validation on the target, heads that do not have the size of
the data, a batch larger than the corpus, and the like (docs/checks.md). No
media file is opened and nothing is trained. A training checks the same before
its first step.

Prints a line per problem. Exit status: 0 no error, 1 errors were found, 2 the
config could not be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import Config, DictAction

from mmgmp.apis.config_check import check_config
from mmgmp.utils.settings import ERROR


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', help='config file of a training')
    add('--data-root', help='data root of every dataset')
    add('--ranks', type=int, default=1, help='processes of the training')
    add(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes, as for tools/train.py',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Check and report."""
    args = parse(argv)
    try:
        config = Config.fromfile(args.config)
        config.merge_from_dict(args.cfg_options or {})
        problems = check_config(config, args.data_root, args.ranks)
    except (OSError, KeyError, TypeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for problem in problems:
        print(' '.join(str(problem).split()))
    errors = sum(problem.severity == ERROR for problem in problems)
    print(f'{errors} errors, {len(problems) - errors} warnings')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
