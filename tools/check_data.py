"""Open every file of a corpus before training does, and list what is wrong.

    python tools/check_data.py hac_train.json hac_test.json --root data/hac \
        --expect hac --report hac_check.json --skip-list hac_skip.txt
    python tools/check_data.py --config configs/mine.py

Reads every file as training does and says how many samples there are of each
class, domain and annotation file, and what each modality lacks.

Finds annotation entries that are malformed, repeated, or name no known domain
or class; classes and domains without samples; files that are missing, cut
off, undecodable, too short, silent, of another sample rate, or that hold
another number of frames than they should. With --config also what the
config's own transforms cannot read; a config is code, run one you trust.
With --report, a run that was stopped continues: files that have not changed
since are not opened again.

Exit status: 0 no fault, 1 faults were found (all are in the report), 2 the
check could not be made, 130 it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmgmp.apis.corpus_counts import SplitCounts
from mmgmp.apis.data_check import UNUSABLE, DataReport, check_data
from mmgmp.apis.media_checks import FAULT_KINDS, CheckSettings
from mmgmp.apis.published_counts import PUBLISHED
from mmgmp.utils import draft_files

if TYPE_CHECKING:
    from rich.table import Table

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
    add(
        'annotations',
        nargs='*',
        metavar='ANN',
        help='annotation files; default: those of --config',
    )
    add('--config', help='config whose own transforms read every sample')
    add('--root', default='', help='data root; default: that of --config')
    add(
        '--modalities',
        nargs='+',
        help='default: those of --config, or all in the annotation',
    )
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
        '--min-samples',
        type=int,
        default=defaults.min_samples,
        help='samples that each class must have in each domain of each '
        'annotation file, 0 for any number; default %(default)s',
    )
    add(
        '--quick',
        action='store_true',
        help='decode only the first and last frame of a video or segment',
    )
    add('--show', type=int, default=20, help='faults to print')
    args = parser.parse_args(argv)
    if not args.annotations and not args.config:
        parser.error('name annotation files, or --config')
    return args


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
    """Print the first faults, then what there is and what is wrong.

    Args:
        report: What was found.
        limit: Faults to print.
    """
    from rich.console import Console

    console = Console(highlight=False)
    for fault in report.faults[: max(limit, 0)]:
        whom = ', '.join(fault.samples[:3])
        more = len(fault.samples) - 3
        whom += f' and {more} more' if more > 0 else ''
        _print(f'{fault.kind}: {fault.path}: {fault.message} [{whom}]')
    hidden = len(report.faults) - max(limit, 0)
    if hidden > 0:
        print(f'... and {hidden} more')
    for split in report.splits:
        console.print(_class_table(split))
    console.print(_modality_table(report.modalities))
    print(
        f'{report.num_samples} samples, {report.num_files} files '
        f'({report.num_reused} of them checked before): '
        f'{len(report.faults) or "no"} faults'
    )
    if not report.faults:
        return
    rows = {
        kind: [count, len(report.sample_ids([kind]))]
        for kind, count in report.counts.items()
    }
    console.print(_table('', ['fault', 'found', 'samples'], rows))
    if report.counts.get('missing', 0) * 2 > report.num_files:
        print(MISSING_HINT, file=sys.stderr)


def _class_table(split: SplitCounts) -> Table:
    """Samples by class, a column for each domain."""
    columns = ['class', *split.counts, 'all']
    by_class = zip(*split.counts.values(), strict=True)
    rows = {
        name: [*counts, sum(counts)]
        for name, counts in zip(split.classes, by_class, strict=True)
    }
    totals = [sum(counts) for counts in split.counts.values()]
    rows['all classes'] = [*totals, sum(totals)]
    return _table(f'samples of {split.split}', columns, rows)


def _modality_table(modalities: Mapping[str, Mapping[str, int]]) -> Table:
    """What each modality has and lacks, a column for each modality."""
    kinds = dict.fromkeys(k for counts in modalities.values() for k in counts)
    rows = {
        kind: [counts.get(kind, 0) for counts in modalities.values()]
        for kind in kinds
    }
    return _table('samples by modality', ['', *modalities], rows)


def _table(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[int]]
) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify='left')
    for number, column in enumerate(columns):
        # As text: a name in brackets is no markup here.
        justify = 'right' if number else 'left'
        table.add_column(Text(_readable(column)), justify=justify)
    for name, values in rows.items():
        table.add_row(Text(_readable(name)), *map(str, values))
    return table


def _print(text: str) -> None:
    print(_readable(text))


def _readable(text: str) -> str:
    """Escape what no terminal can show: broken Unicode in a file name."""
    return text.encode('utf-8', errors='backslashreplace').decode('utf-8')


def main(argv: Sequence[str] | None = None) -> int:
    """Check, report, and write the skip list."""
    args = parse(argv)
    settings = CheckSettings(
        sample_rate=args.sample_rate or None,
        min_seconds=args.min_seconds,
        min_samples=args.min_samples,
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
            config=args.config,
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
