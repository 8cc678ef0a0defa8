"""Open every file of a corpus before training does, and list what is wrong.

    python tools/check_data.py hac_train.json hac_test.json --root data/hac \
        --expect hac --report hac_check.json --skip-list hac_skip.txt

Finds annotation entries that are malformed, repeated, or name no known domain
or class; files that are missing, cut off, undecodable, too short, silent, of
another sample rate, or that hold another number of frames than they should.
With --report, a run that was stopped continues: files that have not changed
since are not opened again.

Exit status: 0 no fault, 1 faults were found (all are in the report), 2 the
check could not be made, 130 it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmgmp.apis.data_check import UNUSABLE, DataReport, check_data
from mmgmp.apis.media_checks import FAULT_KINDS, CheckSettings
from mmgmp.apis.published_counts import PUBLISHED
from mmgmp.utils import draft_files

MISSING_HINT = (
    'Most files are missing: is --root right, and was every step of '
    'data_prep/<corpus>/README.md run?'
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    defaults = CheckSettings()
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('annotations', nargs='+', metavar='ANN', help='annotation files')
    add('--root', default='', help='data root')
    add('--modalities', nargs='+', help='default: all in the annotation')
    add('--workers', type=int, default=min(os.cpu_count() or 1, 8))
    add('--report', help='JSON report; continued if it is there')
    add('--skip-list', type=Path, help='file of unusable samples to write')
    add(
        '--skip',
        nargs='+',
        choices=FAULT_KINDS,
        default=UNUSABLE,
        metavar='KIND',
        help=f'faults whose samples the skip list names, of {FAULT_KINDS}; '
        f'default {UNUSABLE}',
    )
    add(
        '--expect',
        choices=sorted(PUBLISHED),
        help='compare the number of samples with the published one',
    )
    add(
        '--sample-rate',
        type=int,
        default=defaults.sample_rate,
        help='expected rate in Hz, 0 for any; default %(default)s',
    )
    add(
        '--min-seconds',
        type=float,
        default=defaults.min_seconds,
        help='shortest file or segment; default %(default)s',
    )
    add(
        '--tolerance',
        type=float,
        default=defaults.tolerance,
        help='seconds by which a segment may reach beyond its file; default '
        '%(default)s',
    )
    add(
        '--quick',
        action='store_true',
        help='decode only the first and last frame of a video or segment',
    )
    add('--show', type=int, default=20, help='faults to print')
    return parser.parse_args(argv)


def write_skip_list(path: Path, sample_ids: Sequence[str]) -> None:
    """Write ids as the dataset reads them, one a line or a JSON list.

    Args:
        path: File to write.
        sample_ids: The ids.

    Raises:
        ValueError: If an id cannot stand on a line of its own.
    """
    if path.suffix == '.json':
        import json

        text = json.dumps(sample_ids, indent=1, ensure_ascii=False) + '\n'
    else:
        odd = [i for i in sample_ids if i.strip() != i or '\n' in i]
        if odd:
            raise ValueError(
                f'skip_list: the ids {odd} do not fit a line each; name a '
                '.json file'
            )
        text = ''.join(f'{sample_id}\n' for sample_id in sample_ids)
    with draft_files(path) as [draft]:
        draft.write_text(text, encoding='utf-8')


def show(report: DataReport, limit: int) -> None:
    """Print the first faults, and how many there are of each kind."""
    from rich.console import Console
    from rich.table import Table

    for fault in report.faults[: max(limit, 0)]:
        whom = ', '.join(fault.samples[:3])
        more = len(fault.samples) - 3
        whom += f' and {more} more' if more > 0 else ''
        print(f'{fault.kind}: {fault.path}: {fault.message} [{whom}]')
    hidden = len(report.faults) - max(limit, 0)
    if hidden > 0:
        print(f'... and {hidden} more')
    print(
        f'{report.num_samples} samples, {report.num_files} files '
        f'({report.num_reused} of them checked before): '
        f'{len(report.faults) or "no"} faults'
    )
    if not report.faults:
        return
    table = Table()
    table.add_column('fault')
    table.add_column('found', justify='right')
    table.add_column('samples', justify='right')
    for kind, count in report.counts.items():
        table.add_row(kind, str(count), str(len(report.sample_ids([kind]))))
    Console().print(table)
    if report.counts.get('missing', 0) * 2 > report.num_files:
        print(MISSING_HINT, file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Check, report, and write the skip list."""
    args = parse(argv)
    settings = CheckSettings(
        sample_rate=args.sample_rate or None,
        min_seconds=args.min_seconds,
        tolerance=args.tolerance,
        full=not args.quick,
    )
    try:
        report = check_data(
            args.annotations,
            args.root,
            settings,
            args.modalities,
            args.workers,
            args.report,
            args.expect,
            title='Checking',
        )
        show(report, args.show)
        if args.skip_list:
            write_skip_list(args.skip_list, report.sample_ids(args.skip))
    except KeyboardInterrupt:
        kept = f'; {args.report} is kept to continue' if args.report else ''
        print(f'stopped{kept}', file=sys.stderr)
        return 130
    except (OSError, TypeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if report.faults else 0


if __name__ == '__main__':
    sys.exit(main())
