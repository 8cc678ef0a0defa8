"""Turn the CSVs of Kinetics-400 into the Kinetics-Sounds files of mmgmp.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from kinetics_tables import SPLITS, read_classes, read_rows

from mmgmp.utils.annotation_output import write_annotations

CORPUS, DOMAIN = 'Kinetics-Sounds', 'kinetics-sounds'
MEDIA = {'video': '{split}/{name}.mp4', 'audio': 'audio/{split}/{name}.wav'}
FIELDS = ('split', 'label', 'folder', 'name', 'youtube_id')
CLASSES = Path(__file__).with_name('classes_31.txt')


def make_sample(
    row: Mapping[str, str], label: int, media: Mapping[str, str]
) -> dict[str, Any]:
    """Describe one clip.

    Args:
        row: A row that was checked.
        label: Number of its class.
        media: Template of the path by modality.

    Returns:
        Entry of ``data_list``.

    Example:
        >>> row = dict(label='tap dancing', youtube_id='-9nQwLUdlJo',
        ...     time_start='0', time_end='10', split='train')
        >>> make_sample(row, 3, {'video': '{folder}/{name}.mp4'})['video']
        {'path': 'tap_dancing/-9nQwLUdlJo_000000_000010.mp4'}
    """
    start, stop = int(row['time_start']), int(row['time_end'])
    name = f'{row["youtube_id"]}_{start:06d}_{stop:06d}'
    values = {
        'split': row['split'],
        'label': row['label'],
        'folder': row['label'].replace(' ', '_'),
        'name': name,
        'youtube_id': row['youtube_id'],
    }
    return {
        'id': f'{DOMAIN}/{name}',
        'domain': DOMAIN,
        'label': label,
        **{m: {'path': path.format(**values)} for m, path in media.items()},
    }


def convert(
    tables: Mapping[str, Sequence[Path]],
    classes: Sequence[str],
    media: Mapping[str, str],
    problems: list[str],
) -> dict[str, dict[str, Any]]:
    """Read all CSVs.

    Args:
        tables: CSVs by split.
        classes: Names of the classes, in label order.
        media: Template of the path by modality.
        problems: Takes what is wrong.

    Returns:
        The annotation by split, of all clips, whether they are there or not.
    """
    metainfo = {
        'corpus': CORPUS,
        'classes': list(classes),
        'domains': [DOMAIN],
    }
    seen: dict[str, Path] = {}
    annotations = {}
    for split, paths in tables.items():
        samples = []
        for path in paths:
            for row in read_rows(path, split, classes, problems):
                label = classes.index(row['label'])
                sample = make_sample(row, label, media)
                if sample['id'] in seen:
                    problems.append(
                        f'{path}: {sample["id"]} is listed before, in '
                        f'{seen[sample["id"]]}'
                    )
                seen[sample['id']] = path
                samples.append(sample)
        problems += check_classes(split, classes, samples)
        annotations[split] = {'metainfo': metainfo, 'data_list': samples}
    return annotations


def check_classes(
    split: str, classes: Sequence[str], samples: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Say which classes a split has no clip of.

    Args:
        split: Its name.
        classes: Names of the classes, in label order.
        samples: Entries of its ``data_list``.

    Yields:
        At most one problem.
    """
    found = {sample['label'] for sample in samples}
    absent = [n for i, n in enumerate(classes) if i not in found]
    if absent:
        yield (
            f'{split}: no clip of the classes {absent}; are they spelt as in '
            'the CSVs?'
        )


def leave_out(
    annotations: Mapping[str, dict[str, Any]], root: Path
) -> dict[str, list[str]]:
    """Take out the clips that lack a file.

    Args:
        annotations: Annotation by split, changed in place.
        root: Folder that paths are relative to.

    Returns:
        The lacking files by split.
    """
    lacking: dict[str, list[str]] = {}
    for split, annotation in annotations.items():
        kept, lacking[split] = [], []
        for sample in annotation['data_list']:
            paths = [sample[modality]['path'] for modality in MEDIA]
            missing = [path for path in paths if not (root / path).is_file()]
            lacking[split] += missing
            kept += [] if missing else [sample]
        annotation['data_list'] = kept
    return lacking


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: Words; ``None`` takes the process's own.

    Returns:
        The arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', type=Path, help='folder of the clips')
    parser.add_argument('out_dir', type=Path, help='usually the same')
    for split in SPLITS:
        parser.add_argument(
            f'--{split}',
            type=Path,
            nargs='+',
            default=[],
            required=split != 'val',
            metavar='CSV',
            help=f'annotations of the {split} clips',
        )
    parser.add_argument(
        '--classes',
        type=Path,
        default=CLASSES,
        help='one class a line, in label order; default %(default)s',
    )
    for modality, path in MEDIA.items():
        parser.add_argument(
            f'--{modality}',
            default=path,
            help=f'path of a {modality} below root, with {{field}} of '
            f'{FIELDS}; default {path}',
        )
    parser.add_argument(
        '--allow-missing',
        type=Path,
        metavar='FILE',
        help='leave out clips that lack a file, and list those files here',
    )
    args = parser.parse_args(argv)
    for modality in MEDIA:
        used = {x for _, x, _, _ in Formatter().parse(getattr(args, modality))}
        if not used & {'name'} or used - {None, *FIELDS}:
            parser.error(
                f'--{modality} must have the field name, and others of '
                f'{FIELDS}, got {getattr(args, modality)!r}'
            )
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, or report everything that is wrong and write nothing.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if there are problems or the annotation cannot
        be written.
    """
    args = parse(argv)
    problems: list[str] = []
    tables = {s: getattr(args, s) for s in SPLITS if getattr(args, s)}
    media = {modality: getattr(args, modality) for modality in MEDIA}
    classes = read_classes(args.classes, problems)
    annotations = {} if problems else convert(tables, classes, media, problems)
    listed = {s: len(a['data_list']) for s, a in annotations.items()}
    lacking = leave_out(annotations, args.root)
    missing = [path for paths in lacking.values() for path in paths]
    if not args.allow_missing:
        problems += [f'{args.root / path}: no such file' for path in missing]
    problems += [
        f'{split}: no clip has its files; are they where --video and --audio '
        'say?'
        for split, annotation in annotations.items()
        if not annotation['data_list'] and not problems
    ]
    texts = {}
    if args.allow_missing:
        texts[args.allow_missing] = ''.join(f'{p}\n' for p in missing)
    if not write_annotations(
        args.out_dir, 'kinetics_sounds', annotations, problems, texts
    ):
        return 1
    for split, annotation in annotations.items():
        kept = len(annotation['data_list'])
        print(
            f'{split}: {kept} of {listed[split]} listed clips, '
            f'{listed[split] - kept} left out for a missing file'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
