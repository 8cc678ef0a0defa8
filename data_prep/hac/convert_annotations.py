"""Turn the six split CSVs of HAC into the two annotation files of mmgmp.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmgmp.utils.annotation_output import write_annotations
from mmgmp.utils.checks import choice_text
from mmgmp.utils.text_files import read_text

DOMAINS = ('human', 'animal', 'cartoon')
SPLITS = ('train', 'test')
CLASSES = (
    'sleeping',
    'watching tv',
    'eating',
    'drinking',
    'swimming',
    'running',
    'opening door',
)


def split_path(splits_dir: Path, split: str, domain: str) -> Path:
    """Name the CSV of one split and domain.

    Args:
        splits_dir: Folder of the six files.
        split: ``'train'`` or ``'test'``.
        domain: One of the three domains.

    Returns:
        The path.
    """
    return splits_dir / f'HAC_{split}_only_{domain}.csv'


def read_split(path: Path, problems: list[str]) -> list[tuple[str, int]]:
    """Read one CSV: ``file name.mp4,label``, without a header.

    Args:
        path: The file.
        problems: Takes one ``file:line: what is wrong`` per bad row.

    Returns:
        File stem and label of each good row.
    """
    rows: dict[str, int] = {}
    before = len(problems)
    try:
        lines = io.StringIO(read_text(path), newline='')
        for number, row in enumerate(csv.reader(lines), start=1):
            problem = check_row(row, rows)
            if problem:
                problems.append(f'{path}:{number}: {problem}')
            elif row:
                rows[row[0].removesuffix('.mp4')] = int(row[1])
    except FileNotFoundError:
        problems.append(f'{path}: no such file')
    except ValueError as error:  # it names the file
        problems.append(str(error))
    except (OSError, csv.Error) as error:
        problems.append(f'{path}: cannot be read ({error})')
    if not rows and len(problems) == before:
        problems.append(f'{path}: has no rows')
    return list(rows.items())


def check_row(row: Sequence[str], seen: dict[str, int]) -> str:
    """Say what is wrong with a row.

    Args:
        row: Cells of the row; an empty line has none and is passed over.
        seen: File stems of the rows before.

    Returns:
        The problem, or ``''``.

    Example:
        >>> check_row(['a.mp4', '9'], {})
        "label must be 0 to 6, got '9'"
    """
    if not row:
        return ''
    if len(row) != 2:
        return f'expected "name.mp4,label", got {len(row)} cells: {row}'
    name, label = row
    stem = name.removesuffix('.mp4')
    is_name = stem == os.path.basename(stem) and stem.isprintable()
    if stem == name or not stem or not is_name:
        return f'expected the name of an mp4 file, got {name!r}'
    if label not in {str(number) for number in range(len(CLASSES))}:
        return f'label must be 0 to {len(CLASSES) - 1}, got {label!r}'
    if stem in seen:
        return f'{name!r} is listed before in this file'
    return ''


def make_sample(
    domain: str, name: str, label: int, has_flow: bool
) -> dict[str, Any]:
    """Describe one clip in HAC's own folder layout.

    Args:
        domain: Its domain.
        name: File name without ending.
        label: Class number.
        has_flow: Whether to add the two flow files.

    Returns:
        Entry of ``data_list``.

    Example:
        >>> make_sample('human', 'a b', 0, False)['video']
        {'path': 'human/videos/a b.mp4'}
    """
    sample: dict[str, Any] = {
        'id': f'{domain}/{name}',
        'domain': domain,
        'label': label,
        'video': {'path': f'{domain}/videos/{name}.mp4'},
        'audio': {'path': f'{domain}/audio/{name}.wav'},
    }
    if has_flow:
        stem = f'{domain}/flow/{name}_flow'
        sample['flow'] = {'path_x': f'{stem}_x.mp4', 'path_y': f'{stem}_y.mp4'}
    return sample


def convert(
    splits_dir: Path,
    has_flow: bool = False,
    deduplicate: bool = False,
    corpus: str = 'HAC',
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read the six CSVs.

    Args:
        splits_dir: Folder of the six files.
        has_flow: Whether to add flow entries.
        deduplicate: Whether to remove clips from train that test has too.
        corpus: Name written to the metainfo.

    Returns:
        The annotation by split, and the problems found; with problems the
        annotations are incomplete.
    """
    problems = [
        choice_text(
            f'{path}: domain', domain, DOMAINS, 'move this file elsewhere'
        )
        for split in SPLITS
        for path in sorted(splits_dir.glob(f'HAC_{split}_only_*.csv'))
        if (domain := path.stem.split('_only_')[1]) not in DOMAINS
    ]
    samples = {
        split: [
            make_sample(domain, name, label, has_flow)
            for domain in DOMAINS
            for name, label in read_split(
                split_path(splits_dir, split, domain), problems
            )
        ]
        for split in SPLITS
    }
    if deduplicate:
        held_out = {sample['id'] for sample in samples['test']}
        samples['train'] = [
            sample
            for sample in samples['train']
            if sample['id'] not in held_out
        ]
    metainfo = {
        'corpus': corpus,
        'classes': list(CLASSES),
        'domains': list(DOMAINS),
    }
    # The renderer of mini-HAC leaves its settings beside the splits.
    is_rendered = (splits_dir.parent / 'mini_hac.json').is_file()
    mark = {'synthetic': True} if is_rendered else {}
    annotations = {
        split: {'metainfo': metainfo, **mark, 'data_list': samples[split]}
        for split in SPLITS
    }
    return annotations, problems


def summarise(annotations: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Count what was converted.

    Args:
        annotations: Annotation by split.

    Yields:
        One line per split, and one on clips that are in both.
    """
    ids = {}
    for split, annotation in annotations.items():
        samples = annotation['data_list']
        ids[split] = {sample['id'] for sample in samples}
        counts = ', '.join(
            f'{domain} {sum(s["domain"] == domain for s in samples)}'
            for domain in DOMAINS
        )
        yield f'{split}: {counts}'
    yield f'in both train and test: {len(ids["train"] & ids["test"])}'


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, or report every bad row and write nothing.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if the CSVs have problems or the annotation
        cannot be written.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('splits_dir', type=Path, help='folder of the CSVs')
    parser.add_argument('out_dir', type=Path, help='usually the HAC folder')
    parser.add_argument(
        '--flow', action='store_true', help='add the precomputed flow files'
    )
    parser.add_argument(
        '--deduplicate',
        action='store_true',
        help='remove from train the clips that test has too (not the '
        'published protocol: report it)',
    )
    parser.add_argument(
        '--corpus', default='HAC', help='name written to the metainfo'
    )
    args = parser.parse_args(argv)
    annotations, problems = convert(
        args.splits_dir, args.flow, args.deduplicate, args.corpus
    )
    if not write_annotations(args.out_dir, 'hac', annotations, problems):
        return 1
    print(*summarise(annotations), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
